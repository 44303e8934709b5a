"""Color jitter against Pillow and the standard library."""

import colorsys
import itertools

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest
import tensorflow as tf

from tf_edd.data.color import ColorJitter
from tf_edd.data.images import Images
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.errors import UserError

SEED = tf.constant([2, 71], tf.int64)
NONE = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def _images(count=24, low=0, high=256):
    return np.random.default_rng(0).integers(low, high, (count, 6, 5, 3), np.uint8)


def _enhanced(image, kind, factor):
    return np.asarray(kind(PIL.Image.fromarray(image)).enhance(float(factor)), np.uint8)


def _turned(image, turn):
    pixels = []
    for pixel in image.reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        pixels.append(colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value))
    return np.round(255 * np.reshape(pixels, image.shape)).astype(np.uint8)


def _changed(image, place, factors, turn):
    if place == 3:
        return _turned(image, turn)
    kinds = (PIL.ImageEnhance.Brightness, PIL.ImageEnhance.Contrast, PIL.ImageEnhance.Color)
    return _enhanced(image, kinds[place], factors[place])


def _in_order(image, order, factors, turn):
    for place in order:
        image = _changed(image, place, factors, turn)
    return image


@pytest.mark.parametrize("place", range(4))
def test_each_change_alone(place):
    name = list(NONE)[place]
    augmentation = ColorJitter(**{**NONE, name: 0.4})
    images = _images()
    _, factors, turns = (draw.numpy() for draw in augmentation.draws(SEED, len(images)))
    result = augmentation(tf.constant(images), SEED).numpy()
    assert result.dtype == np.uint8
    for before, after, factor, turn in zip(images, result, factors, turns, strict=True):
        assert np.abs(after.astype(int) - _changed(before, place, factor, turn)).max() <= 1


def test_all_changes_in_the_order_of_each_image():
    augmentation, images = ColorJitter(), _images()
    orders, factors, turns = (draw.numpy() for draw in augmentation.draws(SEED, len(images)))
    result = augmentation(tf.constant(images), SEED).numpy()
    errors = {}
    for way in (1, -1):
        pairs = zip(images, result, orders[:, ::way], factors, turns, strict=True)
        errors[way] = [np.abs(a.astype(int) - _in_order(b, *draws)).max() for b, a, *draws in pairs]
    # Pillow cuts off the fractions after each change, which later changes enlarge.
    assert max(errors[1]) <= 6
    assert np.median(errors[-1]) > 10  # the order matters


def test_draws_have_the_distribution_of_the_definition():
    augmentation = ColorJitter(brightness=0.4, contrast=0.3, saturation=1.5, hue=0.2)
    orders, factors, turns = (draw.numpy() for draw in augmentation.draws(SEED, 24_000))
    found, counts = np.unique(orders, axis=0, return_counts=True)
    assert [tuple(order) for order in found] == list(itertools.permutations(range(4)))
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    limits = [(0.6, 1.4), (0.7, 1.3), (0.0, 2.5), (1.0, 1.0)]
    for values, (low, high) in zip([*factors.T, turns], [*limits, (-0.2, 0.2)], strict=True):
        assert low <= values.min() and values.max() <= high + 1e-6
        assert abs(values.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * 24_000) + 1e-6
        assert abs(values.std() - (high - low) / np.sqrt(12)) < 0.02


def test_nothing_at_strength_zero():
    images = _images()
    np.testing.assert_array_equal(ColorJitter(**NONE)(tf.constant(images), SEED), images)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_images_than_rgb(channels):
    pixels = np.zeros((8, 4, 4, channels), np.uint8)
    with pytest.raises(UserError, match=rf"needs RGB images. Received: images of {channels} channel"):
        ColorJitter()(tf.constant(pixels), SEED)
    images = Images(ArraySource(pixels, np.zeros(8)), Moments((0.0,) * channels, (1.0,) * channels))
    with pytest.raises(UserError, match=r"^ColorJitter needs RGB"):
        images.batches(4, 0, 0, augment=[ColorJitter()])
