"""Random changes of brightness, contrast, saturation and hue of RGB images.

Source: the definition is that of torchvision's `ColorJitter`, which the reference pipeline for ImageNet uses. Unlike
there the pixels are rounded once, at the end, and not after each of the four changes.
"""

import dataclasses
from typing import ClassVar

import gin
import tensorflow as tf

from tf_edd.errors import UserError

_CONTRAST, _SATURATION, _HUE = 1, 2, 3  # 0 is the brightness
_LUMA = (0.299, 0.587, 0.114)


@dataclasses.dataclass(frozen=True)
class _ColourJitter:
    brightness: float
    contrast: float
    saturation: float
    hue: float
    normalised: ClassVar[bool] = False

    def check(self, image_shape):
        """Raises UserError unless the images (H, W, C) are RGB."""
        if image_shape[-1] != 3:
            raise UserError(f"colour_jitter needs RGB images. Received: images of {image_shape[-1]} channel(s)")

    def __call__(self, images, seed):
        self.check(images.shape)
        order, factors, turns = self.draws(seed, tf.shape(images)[0])
        pixels = tf.cast(images, tf.float32)
        for place in range(4):
            pixels = _change(pixels, order[:, place], factors, turns)
        return tf.ensure_shape(tf.cast(tf.round(pixels), images.dtype), images.shape)

    def draws(self, seed, batch):
        """Order of the changes int [B, 4], factors [B, 4] (the hue's is 1), turns of the hue [B]."""
        order_seed, factor_seed, hue_seed = tf.unstack(tf.random.split(seed, 3))
        order = tf.argsort(tf.random.stateless_uniform([batch, 4], order_seed), axis=1)
        strengths = tf.constant([self.brightness, self.contrast, self.saturation, 0.0])
        low, high = tf.maximum(1 - strengths, 0.0), 1 + strengths
        factors = low + (high - low) * tf.random.stateless_uniform([batch, 4], factor_seed)
        turns = self.hue * tf.random.stateless_uniform([batch], hue_seed, -1.0, 1.0)
        return order, factors, turns


def _change(pixels, which, factors, turns):
    """Each image [H, W, 3] of the batch changed in its own way: `which`, int [B]."""
    factor = tf.gather(factors, which, axis=1, batch_dims=1)[:, None, None, None]
    pixels = tf.clip_by_value(factor * pixels + (1 - factor) * _anchor(pixels, which), 0.0, 255.0)
    # Hue is the costly change: only of those images whose turn it is.
    rows = tf.where(which == _HUE)
    turned = _turn(tf.gather_nd(pixels, rows), tf.gather_nd(turns, rows))
    return tf.tensor_scatter_nd_update(pixels, rows, turned)


def _anchor(pixels, which):
    """What an image is mixed with: black, its mean grey, or its greys; the hue's factor of 1 leaves none of it."""
    grey = tf.tensordot(pixels, tf.constant(_LUMA)[:, None], 1)
    which = which[:, None, None, None]
    mean = tf.round(tf.reduce_mean(grey, axis=[1, 2], keepdims=True))
    return tf.where(which == _SATURATION, grey, tf.where(which == _CONTRAST, mean, 0.0))


def _turn(pixels, turns):
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(pixels / 255), axis=-1)
    hue = tf.math.floormod(hue + turns[:, None, None], 1.0)
    return 255 * tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))


@gin.configurable(module="tf_edd.data")
def colour_jitter(brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.2):
    """Changes brightness, contrast, saturation and hue of each RGB image, in an order of its own.

    Brightness mixes the image with black, contrast with its mean grey, saturation with its greys: f x + (1 - f) anchor,
    f uniform in [max(0, 1 - strength), 1 + strength], clipped to [0, 255]. Hue turns by a uniform share of the colour
    circle. The defaults are those of DARTS on ImageNet (quark0/darts `cnn/train_imagenet.py`).

    Args:
        brightness: strength, at least 0.
        contrast: strength, at least 0.
        saturation: strength, at least 0.
        hue: largest turn, in [0, 0.5].
    """
    if min(brightness, contrast, saturation) < 0 or not 0 <= hue <= 0.5:
        raise UserError(
            "colour_jitter needs brightness, contrast, saturation >= 0 and 0 <= hue <= 0.5. "
            f"Received: brightness={brightness}, contrast={contrast}, saturation={saturation}, hue={hue}"
        )
    return _ColourJitter(float(brightness), float(contrast), float(saturation), float(hue))
