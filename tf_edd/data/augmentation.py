"""Random augmentation of whole batches: crop, flip, cutout. More in `colour` and `resized_crop`.

An augmentation is a pure function `(images [B, H, W, C], seed int [2]) -> images`: one seed, one result. Any function
of that form can join the list. Three attributes may be added to it:

    normalised = True                         it works on the normalised images, as cutout does in the reference
                                              pipelines (its zeros are the mean colour), and not on raw pixels
    from_decoded(image, seed, image_shape)    takes the place of the call where images of any size [h, w, C] are decoded
                                              one by one, and of the resizing there
    check(image_shape)                        raises UserError for images that it cannot treat
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import gin
import tensorflow as tf

from tf_edd.data.normalisation import Moments, normalise
from tf_edd.errors import UserError

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _uniform_ints(seed, shape, limit):
    return tf.random.stateless_uniform(shape, seed, minval=0, maxval=limit, dtype=tf.int32)


@dataclasses.dataclass(frozen=True)
class _Crop:
    padding: int
    normalised: ClassVar[bool] = False

    def __call__(self, images, seed):
        batch, height, width, _ = tf.unstack(tf.shape(images))
        pad = self.padding
        padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        offsets = _uniform_ints(seed, [2, batch, 1], 2 * pad + 1)
        rows = tf.gather(padded, offsets[0] + tf.range(height), axis=1, batch_dims=1)
        cropped = tf.gather(rows, offsets[1] + tf.range(width), axis=2, batch_dims=1)
        return tf.ensure_shape(cropped, images.shape)


@dataclasses.dataclass(frozen=True)
class _Flip:
    normalised: ClassVar[bool] = False

    def __call__(self, images, seed):
        flipped = _uniform_ints(seed, [tf.shape(images)[0]], 2) == 1
        # Picks whole images, several times faster than tf.where with a condition that is broadcast.
        return tf.raw_ops.Select(condition=flipped, x=tf.reverse(images, [2]), y=images)


@dataclasses.dataclass(frozen=True)
class _Cutout:
    size: int
    normalised: ClassVar[bool] = True

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


def _inside(positions, start, length):
    return (positions >= start) & (positions < start + length)


@gin.configurable(module="tf_edd.data")
def crop(padding: int = 4) -> Augmentation:
    """Random crop of the original size from the image padded with `padding` black pixels on each side.

    Each of the (2 padding + 1)^2 positions is equally likely. Source: quark0/darts `cnn/utils.py`.
    """
    if padding < 0:
        raise UserError(f"crop needs padding >= 0. Received: padding={padding}")
    return _Crop(padding)


@gin.configurable(module="tf_edd.data")
def flip() -> Augmentation:
    """Mirrors each image left to right with probability 1/2."""
    return _Flip()


@gin.configurable(module="tf_edd.data")
def cutout(size: int = 16) -> Augmentation:
    """Sets a square to zero after normalisation, centred at a uniformly random pixel and clipped at the border.

    As in the reference the side is 2 (size // 2). Source: quark0/darts `cnn/utils.py`, class Cutout.
    """
    if size < 1:
        raise UserError(f"cutout needs size >= 1. Received: size={size}")
    return _Cutout(size)


def augment_and_normalise(images, seed, augmentations: Sequence[Augmentation], moments: Moments) -> tf.Tensor:
    """Raw augmentations in their order, normalisation, then the augmentations of normalised images.

    Args:
        images: uint8 [B, H, W, C].
        seed: int [2]; each augmentation gets its own seed, derived from this and its place in the list.
        augmentations: the list; may be empty.
        moments: of the training images.

    Returns:
        float32 [B, H, W, C].
    """
    placed = list(enumerate(augmentations))
    late = [pair for pair in placed if getattr(pair[1], "normalised", False)]
    early = [pair for pair in placed if pair not in late]
    images = _apply(early, images, seed)
    images = normalise(images, moments.mean, moments.std)
    return tf.ensure_shape(_apply(late, images, seed), images.shape)


def _apply(placed, images, seed):
    for place, augmentation in placed:
        images = augmentation(images, tf.random.fold_in(seed, place))
    return images
