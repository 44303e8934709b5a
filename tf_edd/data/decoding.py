"""From encoded images of any size to uint8 images of one size."""

import tensorflow as tf

from tf_edd.errors import UserError

_LONGEST = 64  # how many times as long as what is left of it an image may be, before its ends are cut off unscaled


def decode(encoded, channels: int) -> tf.Tensor:
    """A PNG or JPEG as uint8 [H, W, channels].

    `tf.io.decode_jpeg` reads both formats. TensorFlow's default inverse cosine transform is the fast one, which shifts
    the mean of small JPEG images by 0.005; the accurate one is what other decoders use.
    """
    return tf.io.decode_jpeg(encoded, channels=channels, dct_method="INTEGER_ACCURATE")


def resize_and_crop(image, image_shape, crop_fraction: float = 1.0) -> tf.Tensor:
    """The center of the image, scaled to (H, W) without changing its aspect ratio.

    Args:
        image: uint8 [h, w, C].
        image_shape: (H, W, C).
        crop_fraction: Share of the scaled image that is kept along its tighter side; 224 / 256 is the usual test
            transform of ImageNet.

    Returns:
        uint8 [H, W, C].
    """
    if image.shape == tuple(image_shape) and crop_fraction == 1.0:
        return image
    target = tf.constant(image_shape[:2], tf.float32)
    image, scale = _without_ends(image, target, crop_fraction)
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scaled_size = tf.maximum(tf.cast(tf.round(size * scale), tf.int32), image_shape[:2])
    scaled = tf.image.resize(image, scaled_size, antialias=True)
    top, left = tf.unstack((scaled_size - image_shape[:2]) // 2)
    cut = tf.image.crop_to_bounding_box(scaled, top, left, image_shape[0], image_shape[1])
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(cut, 0.0, 255.0)), tf.uint8), image_shape)


def _without_ends(image, target, crop_fraction):
    """The image without what lies far outside of the crop, and the scale of the whole image.

    A line of 4000 x 1 pixels scaled to a width of 224 would have 200 million pixels, to be cropped away. Images of
    ordinary proportions stay as they are. What is cut off is even, so the center stays where it is.
    """
    size = tf.shape(image)[:2]
    scale = tf.reduce_max(target / tf.cast(size, tf.float32)) / crop_fraction
    longest = _LONGEST * tf.cast(tf.math.ceil(target / scale), tf.int32)
    cut = tf.maximum(size - longest, 0) // 2
    top, left = tf.unstack(cut)
    bottom, right = tf.unstack(size - cut)
    return image[top:bottom, left:right], scale


def check_resize(image_size, crop_fraction) -> None:
    """Raises UserError unless `image_size` is None or two positive integers and 0 < crop_fraction <= 1."""
    if image_size is not None:
        good = isinstance(image_size, (tuple, list)) and len(image_size) == 2
        if not good or not all(isinstance(side, int) and side > 0 for side in image_size):
            raise UserError(f"image_size must be (height, width). Received: image_size={image_size!r}")
    if not isinstance(crop_fraction, (int, float)) or not 0 < crop_fraction <= 1:
        raise UserError(f"crop_fraction must lie in (0, 1]. Received: crop_fraction={crop_fraction!r}")
