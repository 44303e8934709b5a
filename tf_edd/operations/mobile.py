"""The inverted bottleneck of mobile networks."""

import math

import keras
import tensorflow as tf

from tf_edd.operations.base import Operation
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import convolve, strided_shape
from tf_edd.operations.separable import convolve_depthwise

EPSILON = 1e-3  # of all batch norms of a mobile network


@keras.saving.register_keras_serializable(package="tf_edd")
class MBConv(Operation):
    """[1x1 to e C_in, BN, ReLU6], [depthwise k (strided), BN, ReLU6], [1x1 to C, BN], without biases.

    The first part is left out at e = 1. The shortcut around the whole block belongs to the cell.

    Args:
        kernel_size: side k of the depthwise kernel.
        expansion: e.

    Source: ProxylessNAS (Cai et al., ICLR 2019, https://arxiv.org/abs/1812.00332), released code of
    mit-han-lab/proxylessnas, `search/modules/layers.py`.
    """

    def __init__(self, channels, kernel_size=3, stride=1, expansion=6, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.kernel_size = kernel_size
        self.expansion = expansion
        names = (
            ["depthwise_norm", "project_norm"] if expansion == 1 else ["expand_norm", "depthwise_norm", "project_norm"]
        )
        policy = {"affine": self.affine, "running_statistics": self.running_statistics, "dtype": self.dtype_policy}
        self.norms = [BatchNorm(epsilon=EPSILON, name=name, **policy) for name in names]

    def build(self, input_shape):
        before, after = tuple(input_shape), self.compute_output_shape(input_shape)
        width = before[-1] * self.expansion
        self.kernels = [_depthwise(self, self.kernel_size, width), _pointwise(self, "project", width, self.channels)]
        shapes = [(*after[:-1], width), after]
        if self.expansion > 1:
            self.kernels.insert(0, _pointwise(self, "expand", before[-1], width))
            shapes.insert(0, (*before[:-1], width))
        for norm, shape in zip(self.norms, shapes, strict=True):
            norm.build(shape)

    def call(self, x, scale=None, training=False):
        *expand, depthwise, project = (tf.cast(kernel.value, x.dtype) for kernel in self.kernels)
        *expand_norm, depthwise_norm, project_norm = self.norms
        for kernel, norm in zip(expand, expand_norm, strict=True):
            x = tf.nn.relu6(norm.call(convolve(x, kernel, 1), training=training))
        x = tf.nn.relu6(depthwise_norm.call(convolve_depthwise(x, depthwise, self.stride), training=training))
        return project_norm.call(convolve(x, project, 1), scale, training)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size, "expansion": self.expansion}


def he_fout(size: int, channels: int):
    """N(0, 2 / (k^2 C)) with C output channels, for a depthwise kernel too, as the released code does by default."""
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (size**2 * channels)))


def _pointwise(layer, name: str, channels_in: int, channels_out: int):
    return layer.add_weight(name=name, shape=(1, 1, channels_in, channels_out), initializer=he_fout(1, channels_out))


def _depthwise(layer, size: int, channels: int):
    return layer.add_weight(name="depthwise", shape=(size, size, channels, 1), initializer=he_fout(size, channels))
