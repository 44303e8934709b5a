"""Random resized crop of batches of images of one size, and of single images of any size.

Source: the definition is that of torchvision's `RandomResizedCrop`, which the reference pipelines for ImageNet use.
"""

from typing import ClassVar

import tensorflow as tf

from tf_edd.data.augmentation import Augmentation
from tf_edd.errors import UserError
from tf_edd.part import part

_TRIES = 10


@part(module="tf_edd.data")
class RandomResizedCrop(Augmentation):
    """Random part of the image, resized to the size of the images; the defaults are those of the ImageNet recipes.

    Area and aspect ratio are drawn up to ten times, until the part fits into the image; if none does, the largest part
    with an allowed aspect ratio is cut from the center. Images that are decoded when they are read are cut there, each
    from its full size, before all other augmentations. Images in memory already have their final size, so their parts
    are enlarged.

    Attributes:
        scale: Lowest and highest share of the area, in (0, 1].
        ratio: Lowest and highest width / height of the part; its logarithm is uniform.

    Raises:
        UserError: other ranges.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    takes_decoded: ClassVar[bool] = True

    def __post_init__(self):
        ranges = all(_is_range(pair) for pair in (self.scale, self.ratio))
        if not ranges or self.scale[1] > 1:
            raise UserError(
                "RandomResizedCrop needs 0 < scale[0] <= scale[1] <= 1 and 0 < ratio[0] <= ratio[1]. "
                f"Received: scale={self.scale}, ratio={self.ratio}"
            )
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))
        object.__setattr__(self, "ratio", tuple(map(float, self.ratio)))

    def __call__(self, images, seed):
        batch, height, width, _ = tf.unstack(tf.shape(images))
        top, left, high, wide = self.parts(seed, batch, height, width)
        lines = _stretch(tf.cast(images, tf.float32), top, high, axis=1)
        stretched = _stretch(lines, left, wide, axis=2)
        return tf.ensure_shape(tf.cast(tf.round(stretched), images.dtype), images.shape)

    def from_decoded(self, image, seed, image_shape):
        """A random part of one image uint8 [h, w, C], resized to `image_shape` (H, W, C) as Pillow does."""
        height, width, _ = tf.unstack(tf.shape(image))
        top, left, high, wide = (part[0] for part in self.parts(seed, 1, height, width))
        cut = image[top : top + high, left : left + wide]
        resized = tf.image.resize(cut, image_shape[:2], antialias=True)
        return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8), image_shape)

    def parts(self, seed, count, height, width):
        """Top, left, height and width, each int32 [count], of random parts of images of one size."""
        area_seed, ratio_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
        size = tf.cast(tf.stack([height, width]), tf.float32)
        area = tf.reduce_prod(size) * tf.random.stateless_uniform([count, _TRIES], area_seed, *self.scale)
        low, high = tf.unstack(tf.math.log(tf.constant(self.ratio)))
        aspect = tf.exp(tf.random.stateless_uniform([count, _TRIES], ratio_seed, low, high))
        sides = tf.round(tf.stack([tf.sqrt(area / aspect), tf.sqrt(area * aspect)], axis=-1))
        fits = tf.reduce_all((sides > 0) & (sides <= size), axis=-1)
        first = tf.gather(sides, tf.argmax(tf.cast(fits, tf.int32), axis=1), axis=1, batch_dims=1)
        any_fits = tf.reduce_any(fits, axis=1, keepdims=True)
        extent = tf.where(any_fits, first, self._widest(size))
        place = tf.floor(tf.random.stateless_uniform([count, 2], place_seed) * (size - extent + 1))
        corner = tf.where(any_fits, place, tf.floor((size - extent) / 2))
        return tf.unstack(tf.cast(tf.concat([corner, extent], axis=1), tf.int32), axis=1)

    def _widest(self, size):
        """Height and width of the largest part with an allowed aspect ratio."""
        height, width = tf.unstack(size)
        low, high = self.ratio
        return tf.round(tf.maximum(tf.stack([tf.minimum(height, width / low), tf.minimum(width, height * high)]), 1.0))


def _is_range(pair) -> bool:
    """Whether these are two numbers 0 < low <= high."""
    numbers = isinstance(pair, (list, tuple)) and all(isinstance(value, (int, float)) for value in pair)
    return numbers and len(pair) == 2 and 0 < pair[0] <= pair[1]


def _stretch(images, start, length, axis):
    """Stretches the `length` pixels from `start` over the whole axis by linear interpolation; both int [B]."""
    size = tf.shape(images)[axis]
    last = tf.cast(length[:, None] - 1, tf.float32)
    step = tf.cast(length / size, tf.float32)[:, None]
    position = tf.clip_by_value((tf.range(tf.cast(size, tf.float32)) + 0.5) * step - 0.5, 0.0, last)
    before = tf.floor(position)
    lower, upper = (start[:, None] + tf.cast(p, tf.int32) for p in (before, tf.minimum(before + 1, last)))
    low, high = (tf.gather(images, rows, axis=axis, batch_dims=1) for rows in (lower, upper))
    share = tf.reshape(position - before, [-1, size, 1, 1] if axis == 1 else [-1, 1, size, 1])
    return low + share * (high - low)
