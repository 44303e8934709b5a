"""Depthwise separable candidates of the DARTS space, with and without dilation."""

import keras
import tensorflow as tf

from tf_edd.operations.base import Operation, kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import strided_shape


@keras.saving.register_keras_serializable(package="tf_edd")
class SepConv(Operation):
    """[ReLU, depthwise k (strided), pointwise, BN] and [ReLU, depthwise k, pointwise, BN], without biases.

    Args:
        kernel_size: side k of the depthwise kernels.

    Source: https://github.com/quark0/darts, `cnn/operations.py`.
    """

    preparation = "relu"

    def __init__(self, channels, kernel_size=3, stride=1, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.kernel_size = kernel_size
        policy = {"affine": self.affine, "running_statistics": self.running_statistics, "dtype": self.dtype_policy}
        self.norms = [BatchNorm(**policy, name="norm_1"), BatchNorm(**policy, name="norm_2")]

    def build(self, input_shape):
        width = input_shape[-1]  # the first pair keeps the channels of the input, as the reference does
        self.kernels = [
            separable_kernels(self, self.kernel_size, width, width, "_1"),
            separable_kernels(self, self.kernel_size, width, self.channels, "_2"),
        ]
        self.norms[0].build((*input_shape[:-1], width))
        self.norms[1].build((*input_shape[:-1], self.channels))

    def call(self, x, scale=None, training=False):
        x = separable(x, self.kernels[0], self.stride)
        x = tf.nn.relu(self.norms[0].call(x, training=training))
        return self.norms[1].call(separable(x, self.kernels[1]), scale, training)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable(package="tf_edd")
class DilConv(Operation):
    """[ReLU, depthwise k of dilation 2 (strided), pointwise, BN], without biases.

    With stride 2 all taps of a dilated kernel fall on the even pixels: it is a plain kernel on every other pixel.

    Args:
        kernel_size: side k of the depthwise kernel.

    Source: https://github.com/quark0/darts, `cnn/operations.py`.
    """

    def __init__(self, channels, kernel_size=3, stride=1, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.kernel_size = kernel_size
        self.preparation = "relu" if stride == 1 else "relu_even"
        self.norm = BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        self.kernels = separable_kernels(self, self.kernel_size, input_shape[-1], self.channels)
        self.norm.build((*input_shape[:-1], self.channels))

    def call(self, x, scale=None, training=False):
        x = separable(x, self.kernels, dilation=2 if self.stride == 1 else 1)
        return self.norm.call(x, scale, training)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


def separable_kernels(layer, size: int, channels_in: int, channels_out: int, suffix: str = ""):
    """The weights of a depthwise and of a pointwise convolution, created in `layer`."""
    # The fan-in of a depthwise kernel is one channel's k * k; Keras would count all channels.
    bound = 1 / size
    depthwise = layer.add_weight(
        name=f"depthwise{suffix}",
        shape=(size, size, channels_in, 1),
        initializer=keras.initializers.RandomUniform(-bound, bound),
    )
    pointwise = layer.add_weight(
        name=f"pointwise{suffix}", shape=(1, 1, channels_in, channels_out), initializer=kernel_initializer()
    )
    return [depthwise, pointwise]


def separable(x, kernels, stride: int = 1, dilation: int = 1):
    """Pointwise(depthwise(x)) with symmetric zero padding."""
    depthwise, pointwise = (tf.cast(kernel.value, x.dtype) for kernel in kernels)
    return tf.nn.conv2d(convolve_depthwise(x, depthwise, stride, dilation), pointwise, 1, "SAME")


def convolve_depthwise(x, kernel, stride: int = 1, dilation: int = 1):
    """Depthwise convolution with symmetric zero padding.

    Args:
        x: [B, H, W, C].
        kernel: [k, k, C, 1].
        stride: 1, or 2 without dilation.
        dilation: 1, or 2 without stride.
    """
    if dilation == 1 and stride == 1:
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME")
    if dilation == 1:
        pad = kernel.shape[0] // 2
        x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "VALID")
    # Four images of every other pixel, on which the kernel is not dilated; odd sides are padded with zeros.
    sides = x.shape[1:3] if None not in x.shape[1:3] else tf.unstack(tf.shape(x)[1:3])
    crops = [[0, side % dilation] for side in sides]
    parts = tf.space_to_batch(x, [dilation] * 2, crops)
    parts = tf.nn.depthwise_conv2d(parts, kernel, [1, 1, 1, 1], "SAME")
    return tf.ensure_shape(tf.batch_to_space(parts, [dilation] * 2, crops), x.shape)
