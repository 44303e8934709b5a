"""Mean and standard deviation of the pixels: published constants, given ones, or measured on the training images."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError


@dataclasses.dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel, for pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self):
        if len(self.mean) != len(self.std) or not self.std or not min(self.std) > 0:
            raise UserError(
                "mean and std need one number per channel and std must be positive. "
                f"Received: mean={self.mean}, std={self.std}"
            )


_IMAGENET16_120 = Moments(mean=(122.68 / 255, 116.66 / 255, 104.01 / 255), std=(63.22 / 255, 61.26 / 255, 65.09 / 255))

# The constants of the reference implementations: quark0/darts (CIFAR-10, ImageNet), DrNAS (CIFAR-100, SVHN),
# AutoDL-Projects (ImageNet16-120). Keys are TFDS names without configuration.
KNOWN_MOMENTS = {
    "cifar10": Moments((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "cifar100": Moments((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "svhn_cropped": Moments((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "imagenet2012": Moments((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "imagenet16_120": _IMAGENET16_120,
    "ImageNet16-120": _IMAGENET16_120,
}


def normalize(images, mean, std) -> tf.Tensor:
    """Raw pixels to network input: (x / 255 - mean) / std.

    Args:
        images: [..., W, C], uint8 or float, values in [0, 255].
        mean: One number for each of the C channels, for pixels in [0, 1].
        std: The same for the standard deviation.

    Returns:
        float32 tensor of the shape of `images`.
    """
    # Whole lines at a time: broadcasting over an axis of C = 3 numbers takes twice as long.
    shape = tf.shape(images)
    width, channels = shape[-2], shape[-1]
    lines = tf.reshape(tf.cast(images, tf.float32), [-1, width * channels])
    shift = tf.tile(255.0 * tf.constant(mean, tf.float32), [width])
    scale = tf.tile(255.0 * tf.constant(std, tf.float32), [width])
    return tf.ensure_shape(tf.reshape((lines - shift) / scale, shape), images.shape)


def given_moments(mean, std, channels: int) -> Moments | None:
    """The moments that a user gave, None if there are none.

    Raises:
        UserError: only one of them, another number of channels, or a standard deviation that is not positive.
    """
    if (mean is None) != (std is None):
        raise UserError(f"Give both mean and std, or none. Received: mean={mean}, std={std}")
    if mean is None:
        return None
    if len(mean) != channels:
        raise UserError(f"mean and std need one number for each of {channels} channel(s). Received: mean={mean}")
    return Moments(tuple(map(float, mean)), tuple(map(float, std)))


def measure(batches) -> Moments:
    """Moments of each channel over all pixels of all images.

    Args:
        batches: tf.data.Dataset of (uint8 [B, H, W, C], labels).

    Returns:
        The population moments, exact because they come from integer sums. A constant channel gets std 1/255, not 0.
    """
    count, total, squares = 0, 0, 0
    for images, _ in batches.as_numpy_iterator():
        pixels = images.reshape(-1, images.shape[-1])
        histogram = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
        count += len(pixels)
        total = total + histogram @ np.arange(256)
        squares = squares + histogram @ np.arange(256) ** 2
    mean = total / count
    std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0.0)), 1.0)
    return Moments(tuple((mean / 255).tolist()), tuple((std / 255).tolist()))
