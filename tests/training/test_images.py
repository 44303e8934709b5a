"""The images of a retraining: epochs of any length, and the held-out part."""

import numpy as np
import pytest

from tf_edd.data import Crop, Images
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.errors import UserError
from tf_edd.training.images import TrainingImages

COUNT, CLASSES = 50, 5


def images(stratified=False):
    """Image i has pixels of value i: normalized by these moments, i / 255 becomes i."""
    pixels = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 2, 2, 1))
    source = ArraySource(pixels, np.arange(COUNT) % CLASSES, stratified=stratified)
    return Images(source, Moments((0.0,), (1 / 255,)))


def made(valid=0, batch_size=8, augmentation=(), steps_per_epoch=None, **source):
    return TrainingImages.make(images(**source), valid, batch_size, 3, augmentation, steps_per_epoch)


def numbers(batches):
    return np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in batches.as_numpy_iterator()]).round().astype(int)


def test_no_image_is_left_out_where_the_length_is_in_steps():
    training = made(steps_per_epoch=5)
    seen = np.concatenate([numbers(training.batches(epoch)) for epoch in range(10)])
    assert training.steps == 5 and training.passes(10) == 8 and not training.left_out
    np.testing.assert_array_equal(np.bincount(seen, minlength=COUNT), np.full(COUNT, 8))
    for number in range(8):  # pass after pass
        assert sorted(seen[COUNT * number : COUNT * (number + 1)]) == list(range(COUNT))
    assert made().passes(10) == 10 * 48 / 50


def test_an_epoch_may_have_a_batch_larger_than_the_data():
    training = made(batch_size=120, steps_per_epoch=5)
    counts = np.bincount(numbers(training.batches(0)), minlength=COUNT)
    np.testing.assert_array_equal(counts, np.full(COUNT, 12))
    with pytest.raises(UserError, match="must not exceed the 50 images, unless steps_per_epoch is given. Received: b"):
        made(batch_size=120)


@pytest.mark.parametrize("steps_per_epoch", [None, 5])
@pytest.mark.parametrize("position", [1, 3])
def test_an_epoch_goes_on_where_it_was_left(steps_per_epoch, position):
    training = made(steps_per_epoch=steps_per_epoch, augmentation=(Crop(1),))
    whole = list(training.batches(2).as_numpy_iterator())
    rest = list(training.batches(2, position).as_numpy_iterator())
    assert len(whole) == training.steps and len(rest) == training.steps - position
    for one, other in zip(whole[position:], rest, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_epochs_of_one_pass_are_those_of_the_images():
    training = made()
    expected = numbers(images().batches(8, 3, 4))
    np.testing.assert_array_equal(numbers(training.batches(4)), expected)


@pytest.mark.parametrize(("valid", "count"), [(0.2, 10), (15, 15), (np.float64(0.5), 25)])
def test_the_same_share_of_each_class_is_held_out(valid, count):
    training = made(valid, stratified=True)
    assert training.split["valid"] == training.held_out.size == count
    assert training.held_out.class_counts(CLASSES) == [count // CLASSES] * CLASSES
    parts = [numbers(part.batches(1, 0, 0)) for part in (training.train, training.held_out)]
    assert sorted(np.concatenate(parts)) == list(range(COUNT))


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_refuses_what_is_no_length(value):
    with pytest.raises(UserError, match="steps_per_epoch must be an integer of at least 1 or None. Received"):
        made(steps_per_epoch=value)
