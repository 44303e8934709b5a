"""Batches of a search whose training images come in a given order."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.data.batches import SearchBatches
from tf_edd.data.images import Images
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource


def images(count):
    """Images whose labels are their positions, and whose pixels are twice that."""
    pixels = np.broadcast_to(2 * np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 4, 4, 3))
    return Images(ArraySource(pixels.copy(), np.arange(count)), Moments((0.0,) * 3, (1 / 255,) * 3))


def made(train=7, valid=9, **sizes):
    return SearchBatches(images(train), images(valid), 3, (), tf.distribute.get_strategy(), **sizes)


def taken(batches, **options):
    """(positions, labels, pixels) of the training images, and labels of the validation images, batch after batch."""
    found = []
    for batch in batches.epoch(5, 2, **options):
        (pixels, labels, positions), valid = batch["weights"], batch["arch"]
        found.append((positions.numpy(), labels.numpy(), pixels.numpy()[:, 0, 0, 0] / 2, valid[1].numpy()))
    return found


@pytest.mark.parametrize("steps, train", [(None, 7), (1, 7), (4, 7), (4, 2)])
def test_images_come_in_the_order_and_their_positions_with_them(steps, train):
    batches = made(train, steps_per_epoch=steps)
    assert batches.ordered_images == (None if steps is None else 3 * steps)
    order = np.random.default_rng(1).integers(0, train, batches.ordered_images or train)
    found = taken(batches, order=order)
    assert len(found) == batches.steps == (steps or 2)
    for number, (positions, labels, pixels, _) in enumerate(found):
        wanted = order[3 * number : 3 * number + 3]
        for values in (positions, labels, pixels):
            np.testing.assert_allclose(values, wanted)


@pytest.mark.parametrize("steps", [None, 4])
def test_the_rest_of_an_epoch_is_that_of_the_whole_and_the_other_split_does_not_see_the_order(steps):
    batches = made(9 if steps is None else 7, steps_per_epoch=steps)
    order = np.random.default_rng(1).integers(0, 7, batches.ordered_images or 9)
    whole, rest = taken(batches, order=order), taken(batches, skip=1, order=order)
    assert len(rest) == len(whole) - 1 > 1
    for one, other in zip(rest, whole[1:], strict=True):
        for values, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, expected)
    plain = [batch["arch"][1].numpy() for batch in batches.epoch(5, 2)]
    np.testing.assert_array_equal(plain, [valid for *_, valid in whole])
