"""Random resized crop against Pillow, of batches and of single images."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_edd.data.resized_crop import RandomResizedCrop

SEED = tf.constant([3, 14], tf.int64)


def _smooth(shape, seed=0):
    """Images without sharp edges, on which two ways of rounding differ by little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, shape[-1]), np.uint8)
    channels = [PIL.Image.fromarray(c).resize((shape[1], shape[0]), PIL.Image.Resampling.BICUBIC) for c in coarse.T]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _pillow(image, top, left, high, wide, shape):
    picture = PIL.Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
    cut = picture.crop((left, top, left + wide, top + high))
    return np.asarray(cut.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR), int).reshape(shape)


def _parts(augmentation, count, height, width):
    return np.stack([part.numpy() for part in augmentation.parts(SEED, count, height, width)], axis=1)


@pytest.mark.parametrize("shape", [(20, 26, 3), (16, 16, 1)])
def test_batches_are_pillows_cuts(shape):
    images = np.stack([_smooth(shape, seed) for seed in range(12)])
    augmentation = RandomResizedCrop()
    result = augmentation(tf.constant(images), SEED).numpy()
    assert result.dtype == np.uint8
    parts = _parts(augmentation, 12, *shape[:2])
    assert len(np.unique(parts[:, 2:], axis=0)) > 6
    for before, after, part in zip(images, result, parts, strict=True):
        assert np.abs(after.astype(int) - _pillow(before, *part, shape)).max() <= 1


@pytest.mark.parametrize("stored", [(50, 31, 3), (12, 90, 3), (40, 40, 1)])
def test_decoded_images_are_cut_from_their_full_size(stored):
    image, shape = _smooth(stored), (14, 18, stored[-1])
    augmentation = RandomResizedCrop()
    result = augmentation.from_decoded(tf.constant(image), SEED, shape).numpy()
    (part,) = _parts(augmentation, 1, *stored[:2])
    assert result.dtype == np.uint8 and np.abs(result.astype(int) - _pillow(image, *part, shape)).max() <= 2


def test_whole_images_stay():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    whole = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    np.testing.assert_array_equal(whole(tf.constant(images), SEED), images)
    np.testing.assert_array_equal(whole.from_decoded(tf.constant(images[0]), SEED, (8, 8, 3)), images[0])


def test_parts_have_the_distribution_of_the_definition():
    height, width = 300, 400
    augmentation = RandomResizedCrop(scale=(0.08, 0.4))  # such parts always fit: at most 253 by 231 pixels
    top, left, high, wide = _parts(augmentation, 20_000, height, width).T
    assert min(top.min(), left.min()) == 0 and (top + high).max() == height and (left + wide).max() == width
    area, aspect = high * wide / (height * width), wide / high
    assert abs(area.mean() - 0.24) < 0.003 and area.min() > 0.078 and area.max() < 0.402
    assert abs(np.log(aspect).mean()) < 0.005 and abs(np.log(aspect).std() - np.log(16 / 9) / np.sqrt(12)) < 0.003
    assert abs((top / (height - high)).mean() - 0.5) < 0.01 and abs((left / (width - wide)).mean() - 0.5) < 0.01


def test_a_part_that_does_not_fit_is_drawn_again():
    top, left, high, wide = _parts(RandomResizedCrop(scale=(0.5, 1.0)), 5000, 100, 100).T
    assert high.max() <= 100 and wide.max() <= 100 and (high * wide).min() > 4900
    # Were sides cut to the image, the whole height would come with a quarter of the parts or more.
    assert (high == 100).mean() < 0.05


@pytest.mark.parametrize(
    ("size", "expected"), [((10, 400), (0, 193, 10, 13)), ((400, 10), (193, 0, 13, 10)), ((1, 1), (0, 0, 1, 1))]
)
def test_without_a_fitting_part_the_center_is_taken(size, expected):
    parts = _parts(RandomResizedCrop(scale=(0.5, 1.0)), 20, *size)
    assert {tuple(part) for part in parts.tolist()} == {expected}
