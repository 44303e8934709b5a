"""Candidates without weights (none, skip connection, pooling, noise) and the skip connection of stride 2."""

import keras
import numpy as np
import tensorflow as tf

from tf_edd.operations.base import Operation, kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import strided_shape
from tf_edd.runtime import seeds


@keras.saving.register_keras_serializable(package="tf_edd")
class Identity(Operation):
    """The skip connection of stride 1: `scale * x`."""

    def call(self, x, scale=None, training=False):
        return scaled(x, scale)


def skip(channels, stride=1, **settings):
    """The skip connection of this stride."""
    return (Identity if stride == 1 else FactorizedReduce)(channels, stride, **settings)


@keras.saving.register_keras_serializable(package="tf_edd")
class FactorizedReduce(Operation):
    """The skip connection of stride 2: BN(concat(conv(ReLU x), conv(ReLU x shifted by one pixel))), 1x1 of stride 2.

    Each convolution gives half of the channels. The shifted one reads zeros beyond an odd side.

    Source: https://github.com/quark0/darts, `cnn/operations.py`.
    """

    preparation = "relu"

    def __init__(self, channels, stride=2, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.norm = BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        half = self.channels // 2
        self.kernels = [
            self.add_weight(name=name, shape=(1, 1, input_shape[-1], width), initializer=kernel_initializer())
            for name, width in (("kernel_1", half), ("kernel_2", self.channels - half))
        ]
        self.norm.build((*input_shape[:-1], self.channels))

    def call(self, x, scale=None, training=False):
        # Both at once: a 2x2 kernel with the first in its upper left and the second in its lower right corner.
        first, second = (tf.cast(kernel.value, x.dtype) for kernel in self.kernels)
        zeros = [tf.zeros_like(kernel) for kernel in (first, second)]
        corners = [[first, zeros[1]], [zeros[0], zeros[1]], [zeros[0], zeros[1]], [zeros[0], second]]
        kernel = tf.reshape(tf.concat([tf.concat(corner, 3) for corner in corners], 0), [2, 2, x.shape[-1], -1])
        return self.norm.call(tf.nn.conv2d(x, kernel, 2, "SAME"), scale, training)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, 2, self.channels)


@keras.saving.register_keras_serializable(package="tf_edd")
class Pool(Operation):
    """3x3 pooling; the pooling itself is a preparation, which all edges of a node share.

    Args:
        pooling: "average" (the padding is not counted) or "max".
        pool_norm: whether batch norm follows, as in supernets of the DARTS space. Without weights and averages it is
            the same on every edge that leaves a node, and part of the preparation.
    """

    def __init__(self, channels, stride=1, pooling="average", pool_norm=False, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.pooling = pooling
        self.pool_norm = pool_norm
        own = pool_norm and (self.affine or self.running_statistics)
        self.preparation = _preparation(pooling, stride, pool_norm and not own)
        self.norm = (
            BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm") if own else None
        )

    def build(self, input_shape):
        if self.norm is not None:
            self.norm.build(input_shape)

    def call(self, x, scale=None, training=False):
        return scaled(x, scale) if self.norm is None else self.norm.call(x, scale, training)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling, "pool_norm": self.pool_norm}


@keras.saving.register_keras_serializable(package="tf_edd")
class Noise(Operation):
    """N(0, 1) of the shape of the (strided) input, drawn again at every call, outside training too (space S4).

    The numbers are a function of the replica and of the state of this layer, which counts its calls and is saved with
    the weights.
    """

    def build(self, input_shape):
        # A seed and the number of calls.
        seed = np.random.randint(2**31)  # follows the seed of the run, see `runtime.seeds.set_seed`
        self.state = self.add_weight(
            name="state", shape=(2,), initializer=lambda shape, dtype: tf.constant([seed, 0], dtype), **_COUNTER
        )

    def call(self, x, scale=None, training=False):
        state = tf.convert_to_tensor(self.state.value)
        self.state.assign(state + tf.constant([0, 1], state.dtype))
        seed = seeds.replica_seed(state)
        shape = tf.shape(x)
        sides = (shape[1:3] + self.stride - 1) // self.stride
        noise = tf.random.stateless_normal(tf.concat([shape[:1], sides, shape[3:]], 0), seed)
        noise = tf.ensure_shape(tf.cast(noise, x.dtype), self.compute_output_shape(x.shape))
        return scaled(noise, scale)

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, input_shape[-1])


_COUNTER = {"dtype": "int64", "trainable": False, "autocast": False}


@keras.saving.register_keras_serializable(package="tf_edd")
class Zero(Operation):
    """`none`: zeros of the shape of the (strided) input. Mixtures leave it out."""

    def call(self, x, scale=None, training=False):
        return tf.zeros_like(x[:, :: self.stride, :: self.stride])

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, input_shape[-1])


def scaled(x, scale):
    """The product of x and the scalar `scale`, in the precision of x."""
    return x if scale is None else x * tf.cast(scale, x.dtype)


def _preparation(pooling: str, stride: int, normalized: bool) -> str:
    """avg_pool_3x3, max_pool_3x3_stride_2, avg_pool_3x3_norm, ..."""
    name = {"average": "avg_pool_3x3", "max": "max_pool_3x3"}[pooling]
    return name + f"_stride_{stride}" * (stride > 1) + "_norm" * normalized
