"""Random augmentation of whole batches: crop, flip, cutout. More in `color` and `resized_crop`."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import tensorflow as tf

from tf_edd.data.normalization import Moments, normalize
from tf_edd.errors import UserError, require_count
from tf_edd.part import part, shown


class Augmentation(abc.ABC):
    """A pure function of images and seed: equal seeds give equal results.

    Class attributes:
        normalized: Whether it works on normalized images, as cutout does in the reference pipelines (its zeros are the
            mean color), and not on raw pixels.
        takes_decoded: Whether `from_decoded` takes the place of the call, and of the resizing, for images that are
            decoded one by one.
    """

    normalized: ClassVar[bool] = False
    takes_decoded: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The augmented images.

        Args:
            images: [B, H, W, C]; uint8, or float32 if `normalized`.
            seed: Integers [2].

        Returns:
            Images of the same shape and type.
        """

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raises UserError for images (H, W, C) that it cannot treat; there are none by default."""
        return None

    def from_decoded(self, image: tf.Tensor, seed: tf.Tensor, image_shape: tuple[int, int, int]) -> tf.Tensor:
        """The augmented image uint8 (H, W, C) of one decoded image uint8 [h, w, C] of any size."""
        raise NotImplementedError(f"{type(self).__name__} does not take single decoded images")


@dataclasses.dataclass(frozen=True)
class FunctionAugmentation(Augmentation):
    """A plain function `(images, seed) -> images` of raw pixels as an augmentation."""

    function: Callable

    def __call__(self, images, seed):
        return self.function(images, seed)


@part(module="tf_edd.data")
class Crop(Augmentation):
    """Random crop of the original size from the image padded with black pixels.

    Each of the (2 padding + 1)^2 positions is equally likely.

    Attributes:
        padding: Black pixels that are added on each side, at least 0.

    Raises:
        UserError: another padding.

    Source: quark0/darts `cnn/utils.py`.
    """

    padding: int = 4

    def __post_init__(self):
        require_count(0, padding=self.padding)

    def __call__(self, images, seed):
        batch, height, width, _ = tf.unstack(tf.shape(images))
        pad = self.padding
        padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        offsets = _uniform_ints(seed, [2, batch, 1], 2 * pad + 1)
        rows = tf.gather(padded, offsets[0] + tf.range(height), axis=1, batch_dims=1)
        cropped = tf.gather(rows, offsets[1] + tf.range(width), axis=2, batch_dims=1)
        return tf.ensure_shape(cropped, images.shape)


@part(module="tf_edd.data")
class Flip(Augmentation):
    """Mirrors each image left to right with probability 1/2."""

    def __call__(self, images, seed):
        flipped = _uniform_ints(seed, [tf.shape(images)[0]], 2) == 1
        # Picks whole images, several times faster than tf.where with a condition that is broadcast.
        return tf.raw_ops.Select(condition=flipped, x=tf.reverse(images, [2]), y=images)


@part(module="tf_edd.data")
class Cutout(Augmentation):
    """Sets a square to zero after normalization, centered at a uniformly random pixel and clipped at the border.

    Attributes:
        size: Side of the square in pixels, at least 1. As in the reference code the side is 2 (size // 2).

    Raises:
        UserError: another size.

    Source: quark0/darts `cnn/utils.py`, class Cutout.
    """

    size: int = 16
    normalized: ClassVar[bool] = True

    def __post_init__(self):
        require_count(size=self.size)

    def __call__(self, images, seed):
        batch, height, width, channels = tf.unstack(tf.shape(images))
        half = self.size // 2
        row_seed, column_seed = tf.unstack(tf.random.split(seed, 2))
        top = _uniform_ints(row_seed, [batch, 1], height) - half
        left = _uniform_ints(column_seed, [batch, 1], width) - half
        rows = _inside(tf.range(height), top, 2 * half)
        columns = tf.repeat(_inside(tf.range(width), left, 2 * half), channels, axis=1)
        hole = rows[:, :, None] & columns[:, None, :]
        # Width and channels as one axis: a condition of equal shape is faster than one that is broadcast.
        lines = tf.reshape(images, [batch, height, width * channels])
        return tf.reshape(tf.where(hole, tf.zeros_like(lines), lines), tf.shape(images))


def _uniform_ints(seed, shape, limit):
    return tf.random.stateless_uniform(shape, seed, minval=0, maxval=limit, dtype=tf.int32)


def _inside(positions, start, length):
    return (positions >= start) & (positions < start + length)


def as_augmentations(parts: Sequence[Augmentation | Callable] | None) -> tuple[Augmentation, ...]:
    """A list of augmentations and plain functions as augmentations.

    Raises:
        UserError: not a list, or something in it that is neither or that has no hash.
    """
    if parts is None:
        return ()
    if not isinstance(parts, (list, tuple)):
        raise UserError(f"Expected a list of augmentations such as [@Crop(), @Flip()]. Received: {parts!r}")
    return tuple(_hashable(_as_augmentation(part)) for part in parts)


def _as_augmentation(part) -> Augmentation:
    if isinstance(part, Augmentation):
        return part
    if isinstance(part, type) or not callable(part):
        raise UserError(
            f"Expected augmentations such as @Crop(), with brackets, or functions (images, seed) -> images. "
            f"Received: {part!r}"
        )
    return FunctionAugmentation(part)


def _hashable(augmentation: Augmentation) -> Augmentation:
    try:
        hash(augmentation)
    except TypeError as error:
        raise UserError(
            "An augmentation must be hashable: a frozen dataclass (@part) whose lists are tuples. Received: "
            f"{shown(augmentation)}"
        ) from error
    return augmentation


def augment_and_normalize(images, seed, augmentations: Sequence[Augmentation], moments: Moments) -> tf.Tensor:
    """Augmentations of raw images in their order, normalization, then the augmentations of normalized images.

    Args:
        images: uint8 [B, H, W, C].
        seed: Integers [2]; each augmentation gets its own seed, derived from this and its place in the list.
        augmentations: The list; may be empty.
        moments: Mean and standard deviation of the training images.

    Returns:
        float32 [B, H, W, C].
    """
    placed = list(enumerate(augmentations))
    images = _apply([pair for pair in placed if not pair[1].normalized], images, seed)
    images = normalize(images, moments.mean, moments.std)
    return tf.ensure_shape(_apply([pair for pair in placed if pair[1].normalized], images, seed), images.shape)


def _apply(placed, images, seed):
    for place, augmentation in placed:
        images = augmentation(images, tf.random.fold_in(seed, place))
    return images
