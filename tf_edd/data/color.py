"""Random changes of brightness, contrast, saturation and hue of RGB images.

Source: the definition is that of torchvision's `ColorJitter`, which the reference pipeline for ImageNet uses. Unlike
there the pixels are rounded once, at the end, and not after each of the four changes.
"""

import dataclasses

import tensorflow as tf

from tf_edd.data.augmentation import Augmentation
from tf_edd.errors import UserError, require_share
from tf_edd.part import part

_CONTRAST, _SATURATION, _HUE = 1, 2, 3  # 0 is the brightness
_LUMA = (0.299, 0.587, 0.114)


@part(module="tf_edd.data")
class ColorJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of each RGB image, in an order of its own.

    Brightness mixes the image with black, contrast with its mean gray, saturation with its grayscale version:
    f x + (1 - f) anchor, f uniform in [max(0, 1 - strength), 1 + strength], clipped to [0, 255]. Hue turns by a uniform
    share of the color circle. The defaults are those of DARTS on ImageNet (quark0/darts `cnn/train_imagenet.py`).

    Attributes:
        brightness: Strength, at least 0.
        contrast: Strength, at least 0.
        saturation: Strength, at least 0.
        hue: Largest turn, as a share of the color circle in [0, 0.5].

    Raises:
        UserError: another strength or hue.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.2

    def __post_init__(self):
        strengths = [self.brightness, self.contrast, self.saturation]
        require_share(hue=self.hue)
        if not all(isinstance(value, (int, float)) and value >= 0 for value in strengths) or self.hue > 0.5:
            raise UserError(
                "ColorJitter needs brightness, contrast, saturation >= 0 and 0 <= hue <= 0.5. Received: "
                f"brightness={self.brightness}, contrast={self.contrast}, saturation={self.saturation}, hue={self.hue}"
            )
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, float(getattr(self, field.name)))

    def check(self, image_shape):
        if image_shape[-1] != 3:
            raise UserError(f"ColorJitter needs RGB images. Received: images of {image_shape[-1]} channel(s)")

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
    # Hue is the expensive change: only for the images whose turn it is.
    rows = tf.where(which == _HUE)
    turned = _turn(tf.gather_nd(pixels, rows), tf.gather_nd(turns, rows))
    return tf.tensor_scatter_nd_update(pixels, rows, turned)


def _anchor(pixels, which):
    """What an image is mixed with: black, its mean gray, or its grayscale version; the hue's factor of 1 mixes none."""
    gray = tf.tensordot(pixels, tf.constant(_LUMA)[:, None], 1)
    which = which[:, None, None, None]
    mean = tf.round(tf.reduce_mean(gray, axis=[1, 2], keepdims=True))
    return tf.where(which == _SATURATION, gray, tf.where(which == _CONTRAST, mean, 0.0))


def _turn(pixels, turns):
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(pixels / 255), axis=-1)
    hue = tf.math.floormod(hue + turns[:, None, None], 1.0)
    return 255 * tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))
