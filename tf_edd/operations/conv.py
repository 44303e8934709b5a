"""Convolutional candidates: ReLU, convolution, batch norm."""

import keras
import tensorflow as tf

from tf_edd.operations.base import Operation, kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm


@keras.saving.register_keras_serializable(package="tf_edd")
class ConvBN(Operation):
    """Convolution (no bias) and batch norm, `BN(conv(x))`; symmetric zero padding, as the reference code pads.

    Args:
        kernel_size: side of the square kernel.
        relu: whether the input has passed a ReLU (`preparation`).
        normalize: whether batch norm follows.
    """

    def __init__(self, channels, kernel_size=3, stride=1, relu=True, normalize=True, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.kernel_size = kernel_size
        self.relu = relu
        self.normalize = normalize
        self.preparation = "relu" if relu else "identity"
        self.norm = (
            BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm") if normalize else None
        )

    def build(self, input_shape):
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel", shape=(size, size, input_shape[-1], self.channels), initializer=kernel_initializer()
        )
        if self.norm is not None:
            self.norm.build((*input_shape[:-1], self.channels))

    def call(self, x, scale=None, training=False):
        x = convolve(x, tf.cast(self.kernel.value, x.dtype), self.stride)
        if self.norm is not None:
            return self.norm.call(x, scale, training)
        return x if scale is None else x * tf.cast(scale, x.dtype)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "relu": self.relu,
            "normalize": self.normalize,
        }


def convolve(x, kernel, stride: int):
    """2-D convolution with symmetric zero padding; TensorFlow's "SAME" pads a strided one at the end only."""
    size = kernel.shape[0]
    if stride == 1:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    pad = size // 2
    # Not the convolution's own explicit padding, for which oneDNN has no kernel: bfloat16 would be 50 times slower.
    return tf.nn.conv2d(tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]]), kernel, stride, "VALID")


def strided_shape(shape, stride: int, channels: int):
    """Output shape of an operation with symmetric padding."""
    batch, height, width, _ = shape
    return (batch, *(None if side is None else -(-side // stride) for side in (height, width)), channels)
