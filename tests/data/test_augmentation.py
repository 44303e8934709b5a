"""Augmentation against NumPy computations on every image."""

import dataclasses

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.data.augmentation import Augmentation, Crop, Cutout, Flip, as_augmentations, augment_and_normalize
from tf_edd.data.color import ColorJitter
from tf_edd.data.normalization import Moments, measure, normalize
from tf_edd.data.resized_crop import RandomResizedCrop
from tf_edd.errors import UserError

SEED = tf.constant([3, 14], tf.int64)
SHAPES = [(40, 6, 9, 3), (40, 8, 8, 1)]


def _images(shape):
    # No zeros, so that padding and holes show.
    return np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_crop_takes_windows_of_the_padded_image(shape):
    images, pad = _images(shape), 2
    result = Crop(pad)(tf.constant(images), SEED).numpy()
    height, width = shape[1:3]
    offsets = set()
    for before, after in zip(images, result, strict=True):
        padded = np.pad(before, [(pad, pad), (pad, pad), (0, 0)])
        found = [
            (top, left)
            for top in range(2 * pad + 1)
            for left in range(2 * pad + 1)
            if np.array_equal(padded[top : top + height, left : left + width], after)
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 10


def test_crop_positions_are_uniform():
    positions = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5, 1).repeat(9000, 0)
    centers = Crop(1)(tf.constant(positions), SEED).numpy()[:, 2, 2, 0]
    values, counts = np.unique(centers, return_counts=True)
    assert values.tolist() == [7, 8, 9, 12, 13, 14, 17, 18, 19]
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("shape", SHAPES)
def test_flip_mirrors_about_half_of_the_images(shape):
    images = np.tile(_images(shape), (10, 1, 1, 1))
    result = Flip()(tf.constant(images), SEED).numpy()
    mirrored = np.array([np.array_equal(a[:, ::-1], b) for a, b in zip(images, result, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(images, result, strict=True)])
    assert (mirrored ^ kept).all()
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(images))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [4, 5])
def test_cutout_makes_one_clipped_square(shape, size):
    images = _images(shape).astype(np.float32)
    result = Cutout(size)(tf.constant(images), SEED).numpy()
    half, (height, width) = size // 2, shape[1:3]
    centers = set()
    for before, after in zip(images, result, strict=True):
        found = []
        for y in range(height):
            for x in range(width):
                expected = before.copy()
                expected[max(y - half, 0) : min(y + half, height), max(x - half, 0) : min(x + half, width)] = 0
                if np.array_equal(expected, after):
                    found.append((y, x))
        assert len(found) == 1
        centers.add(found[0])
    assert len(centers) > 20


def test_normalize_is_the_formula():
    images, mean, std = _images((2, 5, 7, 3)), (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    expected = (images / 255.0 - np.array(mean)) / np.array(std)
    result = normalize(images, mean, std)
    assert result.dtype == tf.float32 and result.shape == (2, 5, 7, 3)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_cropped_borders_are_black_and_cutout_is_the_mean_color():
    white = tf.fill([200, 6, 6, 1], tf.constant(255, tf.uint8))
    moments = Moments((0.5,), (0.25,))
    # The list names cutout first: it comes after normalization all the same, as in the reference.
    values = np.unique(augment_and_normalize(white, SEED, [Cutout(2), Crop(2)], moments))
    assert values.tolist() == [-2.0, 0.0, 2.0]


def test_each_place_in_the_list_has_its_own_random_numbers():
    images = tf.constant(np.tile(_images((1, 4, 4, 1)), (64, 1, 1, 1)))
    moments = Moments((0.0,), (1.0,))
    twice = augment_and_normalize(images, SEED, [Flip(), Flip()], moments)
    plain = augment_and_normalize(images, SEED, [], moments)
    assert not np.array_equal(twice, plain)


def test_equal_seeds_give_equal_results():
    images = tf.constant(_images((32, 8, 8, 3)))
    for augmentation in (Crop(2), Flip(), Cutout(4), RandomResizedCrop(), ColorJitter()):
        first = augmentation(images, SEED).numpy()
        np.testing.assert_array_equal(first, tf.function(augmentation)(images, SEED))
        assert not np.array_equal(first, augmentation(images, SEED + 1))


def test_composed_by_gin():
    @gin.configurable(module="test_augmentation")
    def consumer(augmentation=()):
        return augmentation

    with gin.unlock_config():
        gin.parse_config("consumer.augmentation = [@Crop(), @Flip()]\nCrop.padding = 2")
        try:
            assert consumer() == [Crop(2), Flip()]
        finally:
            gin.clear_config()


def test_plain_functions_are_augmentations_of_raw_pixels():
    def invert(images, seed):
        assert images.dtype == tf.uint8 and seed.shape == (2,)
        return 255 - images

    parts = as_augmentations([Cutout(2), invert])
    white = tf.fill([8, 6, 6, 1], tf.constant(255, tf.uint8))
    values = np.unique(augment_and_normalize(white, SEED, parts, Moments((0.5,), (0.25,))))
    assert values.tolist() == [-2.0, 0.0] and parts == as_augmentations(parts) and as_augmentations(None) == ()
    assert [part.takes_decoded for part in as_augmentations([invert, RandomResizedCrop()])] == [False, True]


@dataclasses.dataclass
class NotFrozen(Augmentation):
    """Has no hash."""

    side: int = 2

    def __call__(self, images, seed):
        return images


@dataclasses.dataclass(frozen=True)
class WithAList(Augmentation):
    """Frozen; what it holds is not."""

    sides: list

    def __call__(self, images, seed):
        return images


@dataclasses.dataclass
class CalledAsAFunction:
    """No `Augmentation`."""

    def __call__(self, images, seed):
        return images


@pytest.mark.parametrize("unhashable", [NotFrozen(), WithAList([1, 2]), CalledAsAFunction()])
def test_what_has_no_hash_is_refused(unhashable):
    expected = r"An augmentation must be hashable: a frozen dataclass \(@part\).* Received: .*"
    with pytest.raises(UserError, match=expected + type(unhashable).__name__):
        as_augmentations([Crop(), unhashable])


@pytest.mark.parametrize("bad", [Crop(), [3], [Crop], "flip", [Crop(), None]])
def test_other_things_are_not(bad):
    with pytest.raises(UserError, match="Expected .*augmentations.* Received: "):
        as_augmentations(bad)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Crop(-1),
        lambda: Crop(2.5),
        lambda: Cutout(0),
        lambda: RandomResizedCrop(scale=(0.0, 1.0)),
        lambda: RandomResizedCrop(scale=(0.5, 1.1)),
        lambda: RandomResizedCrop(ratio=(2.0, 1.0)),
        lambda: RandomResizedCrop(scale=0.5),
        lambda: ColorJitter(brightness=-0.1),
        lambda: ColorJitter(hue=0.6),
        lambda: ColorJitter(contrast="strong"),
        lambda: Moments((0.5,), (0.0,)),
        lambda: Moments((0.5, 0.5), (0.1,)),
        lambda: Moments((), ()),
    ],
)
def test_values_out_of_range(make):
    with pytest.raises(UserError, match="Received"):
        make()


def test_measured_moments_are_numpys():
    images = _images((30, 5, 4, 3))
    moments = measure(tf.data.Dataset.from_tensor_slices((images, np.zeros(30))).batch(7))
    np.testing.assert_allclose(moments.mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(moments.std, (images / 255).std((0, 1, 2)), rtol=1e-9)


def test_a_constant_channel_can_be_normalized():
    moments = measure(tf.data.Dataset.from_tensor_slices((np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3))).batch(3))
    assert moments == Moments((0.0,), (1 / 255,))
