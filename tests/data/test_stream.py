"""Endless streams of batches: passes, order, resuming, and the sources that they are read from."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_edd.data.augmentation import Crop, Flip
from tf_edd.data.images import Images
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource, EncodedSource, FileSource, stream_passes
from tf_edd.errors import UserError

SIZE = 7


def array_source():
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE, 5, 4, 3), dtype=np.uint8)
    return ArraySource(pixels, np.arange(SIZE))


def encoded(pixels):
    return tf.io.encode_png(pixels).numpy()


@pytest.fixture(params=["arrays", "files", "encoded"])
def images(request, tmp_path):
    """Images whose labels are their numbers."""
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE, 5, 4, 3), dtype=np.uint8)
    labels = np.arange(SIZE, dtype=np.int32)
    if request.param == "arrays":
        source = ArraySource(pixels, labels)
    elif request.param == "files":
        paths = [str(tmp_path / f"{number}.png") for number in labels]
        for path, image in zip(paths, pixels, strict=True):
            PIL.Image.fromarray(image).save(path)
        source = FileSource(np.array(paths), labels, (5, 4, 3))
    else:
        source = EncodedSource(tf.constant([encoded(image) for image in pixels]), labels, (5, 4, 3), 1.0, labels)
    return Images(source, Moments((0.4,) * 3, (0.2,) * 3))


def labels_of(dataset):
    return [labels.tolist() for _, labels in dataset.as_numpy_iterator()]


def test_passes_follow_one_another_without_a_gap(images):
    batches = labels_of(images.stream(3, seed=0, first=0, steps=14))
    assert [len(batch) for batch in batches] == [3] * 14
    passes = np.reshape(batches, (6, SIZE))  # 42 images
    assert (np.sort(passes, axis=1) == np.arange(SIZE)).all()
    assert len({tuple(row) for row in passes.tolist()}) > 1


def test_a_batch_may_be_larger_than_the_data(images):
    (batch,) = labels_of(images.stream(2 * SIZE, seed=0, first=3, steps=1))
    assert np.bincount(batch).tolist() == [2] * SIZE


def test_a_batch_is_a_function_of_its_number(images):
    """Augmentation included: what a resumed search takes is what it would have taken."""
    whole = list(images.stream(3, 5, first=0, steps=9, augment=[Crop(1), Flip()]).as_numpy_iterator())
    later = list(images.stream(3, 5, first=4, steps=5, augment=[Crop(1), Flip()]).as_numpy_iterator())
    for (pixels, labels), (expected, expected_labels) in zip(later, whole[4:], strict=True):
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(labels, expected_labels)


def test_the_first_pass_has_the_order_of_the_first_epoch():
    images = Images(array_source(), Moments((0.4,) * 3, (0.2,) * 3))
    assert labels_of(images.stream(SIZE, 2, 0, 1)) == labels_of(images.batches(SIZE, 2, 0))
    assert labels_of(images.stream(SIZE, 2, 1, 1)) == labels_of(images.batches(SIZE, 2, 1))


def test_seeds_and_streams_differ(images):
    first = labels_of(images.stream(SIZE, 0, 0, 3))
    assert labels_of(images.stream(SIZE, 1, 0, 3)) != first
    assert labels_of(images.reshuffled().stream(SIZE, 0, 0, 3)) != first


def test_the_passes_that_hold_a_stretch():
    assert list(stream_passes(7, 0, 7)) == [0]
    assert list(stream_passes(7, 6, 2)) == [0, 1]
    assert list(stream_passes(7, 7, 1)) == [1]
    assert list(stream_passes(7, 20, 9)) == [2, 3, 4]


@pytest.mark.parametrize("bad", [{"first": -1}, {"batch_size": 0}])
def test_numbers_out_of_range(images, bad):
    with pytest.raises(UserError, match=f"{next(iter(bad))}"):
        images.stream(**{"batch_size": 2, "seed": 0, "first": 0, "steps": 1, **bad})
