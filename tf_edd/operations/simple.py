"""Candidates without weights (none, skip connection, pooling, noise) and the skip connection of stride 2."""

import keras
import numpy as np
import tensorflow as tf

from tf_edd.operations.base import PREPARATIONS, Operation, kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm, normalise
from tf_edd.operations.conv import strided_shape
from tf_edd.runtime import seeds


@keras.saving.register_keras_serializable(package="tf_edd")
class Identity(Operation):
    """The skip connection of stride 1: `scale * x`."""

    def call(self, x, scale=None, training=False):
        """Scale * x."""
        return weigh(x, scale)


@keras.saving.register_keras_serializable(package="tf_edd")
class FactorizedReduce(Operation):
    """The skip connection of stride 2: BN(concat(conv(ReLU x), conv(ReLU x shifted by one pixel))), 1x1 of stride 2.

    Each convolution gives half of the channels. Beyond an odd side the shifted one reads zeros.

    Source: https://github.com/quark0/darts, `cnn/operations.py`.
    """

    preparation = "relu"

    def __init__(self, channels, stride=2, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.norm = BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        """Creates the two kernels."""
        half = self.channels // 2
        self.kernels = [
            self.add_weight(name=name, shape=(1, 1, input_shape[-1], width), initializer=kernel_initializer())
            for name, width in (("kernel_1", half), ("kernel_2", self.channels - half))
        ]
        self.norm.build((*input_shape[:-1], self.channels))

    def call(self, x, scale=None, training=False):
        """Scale * BN(both convolutions); x has passed the ReLU."""
        # Both at once: a 2x2 kernel with the first in its upper left corner and the second in its lower right one.
        first, second = (tf.cast(kernel.value, x.dtype) for kernel in self.kernels)
        zeros = [tf.zeros_like(kernel) for kernel in (first, second)]
        corners = [[first, zeros[1]], [zeros[0], zeros[1]], [zeros[0], zeros[1]], [zeros[0], second]]
        kernel = tf.reshape(tf.concat([tf.concat(corner, 3) for corner in corners], 0), [2, 2, x.shape[-1], -1])
        return self.norm.call(tf.nn.conv2d(x, kernel, 2, "SAME"), scale, training)

    def compute_output_shape(self, input_shape, **_):
        """[B, ceil(H / 2), ceil(W / 2), channels]."""
        return strided_shape(input_shape, 2, self.channels)


@keras.saving.register_keras_serializable(package="tf_edd")
class Pool(Operation):
    """3x3 pooling; the pooling itself is a preparation, which all edges of a node share.

    Args:
        kind: "average" (the padding not counted) or "max".
        normalize: whether batch norm follows, as in supernets of the DARTS space. Without weights and averages it is
            the same on every edge that leaves a node, and a part of the preparation.
    """

    def __init__(self, channels, stride=1, kind="average", normalize=False, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.kind = kind
        self.normalize = normalize
        own = normalize and (self.affine or self.running_statistics)
        self.preparation = _pooling_name(kind, stride, normalize and not own)
        self.norm = (
            BatchNorm(self.affine, self.running_statistics, dtype=self.dtype_policy, name="norm") if own else None
        )

    def build(self, input_shape):
        """Builds the batch norm, if there is one."""
        if self.norm is not None:
            self.norm.build(input_shape)

    def call(self, x, scale=None, training=False):
        """Scale * x, or scale * BN(x); x has been pooled."""
        return weigh(x, scale) if self.norm is None else self.norm.call(x, scale, training)

    def compute_output_shape(self, input_shape, **_):
        """[B, ceil(H / stride), ceil(W / stride), C]."""
        return strided_shape(input_shape, self.stride, input_shape[-1])

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "kind": self.kind, "normalize": self.normalize}


@keras.saving.register_keras_serializable(package="tf_edd")
class Noise(Operation):
    """N(0, 1) of the shape of the (strided) input, drawn anew at every call, outside training too (S4).

    The numbers are a function of the state of this layer, which counts its calls and is saved with the weights, and of
    the replica.
    """

    def build(self, input_shape):
        """Creates the state: a seed and the number of calls."""
        seed = np.random.randint(2**31)  # follows the seed of the run, see `runtime.seeds.set_seed`
        self.state = self.add_weight(
            name="state", shape=(2,), initializer=lambda shape, dtype: tf.constant([seed, 0], dtype), **_COUNTER
        )

    def call(self, x, scale=None, training=False):
        """Scale * noise; the values of x are not read."""
        state = tf.convert_to_tensor(self.state.value)
        self.state.assign(state + tf.constant([0, 1], state.dtype))
        seed = seeds.replica_seed(state)
        shape = tf.shape(x)
        sides = (shape[1:3] + self.stride - 1) // self.stride
        noise = tf.random.stateless_normal(tf.concat([shape[:1], sides, shape[3:]], 0), seed)
        noise = tf.ensure_shape(tf.cast(noise, x.dtype), self.compute_output_shape(x.shape))
        return weigh(noise, scale)

    def compute_output_shape(self, input_shape, **_):
        """[B, ceil(H / stride), ceil(W / stride), C]."""
        return strided_shape(input_shape, self.stride, input_shape[-1])


_COUNTER = {"dtype": "int64", "trainable": False, "autocast": False}


@keras.saving.register_keras_serializable(package="tf_edd")
class Zero(Operation):
    """`none`: zeros. In a mixture it adds nothing; a node that gets no other input becomes zeros by it."""

    def call(self, x, scale=None, training=False):
        """Zeros of the shape of the (strided) x."""
        return tf.zeros_like(x[:, :: self.stride, :: self.stride])

    def compute_output_shape(self, input_shape, **_):
        """[B, ceil(H / stride), ceil(W / stride), C]."""
        return strided_shape(input_shape, self.stride, input_shape[-1])


def weigh(x, scale):
    """x times the scalar `scale`, in the precision of x."""
    return x if scale is None else x * tf.cast(scale, x.dtype)


def average_pool(x, stride: int = 1):
    """3x3 average pooling with symmetric padding that is not counted."""
    if stride == 1:
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    # "SAME" would pad a strided pooling at the end only: pad by hand, then divide by what is real.
    pooled = tf.nn.avg_pool2d(_padded(x, 0), 3, stride, "VALID")
    real = tf.nn.avg_pool2d(_padded(tf.ones_like(x[:1, :, :, :1]), 0), 3, stride, "VALID")
    return pooled / real


def max_pool(x, stride: int = 1):
    """3x3 max pooling with symmetric padding of -inf."""
    if stride == 1:
        return tf.nn.max_pool2d(x, 3, 1, "SAME")
    return tf.nn.max_pool2d(_padded(x, tf.as_dtype(x.dtype).min), 3, stride, "VALID")


def _padded(x, value):
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=tf.cast(value, x.dtype))


def _pooling_name(kind: str, stride: int, normalised: bool) -> str:
    """avg_pool_3x3, max_pool_3x3_stride_2, avg_pool_3x3_norm, ..."""
    name = {"average": "avg_pool_3x3", "max": "max_pool_3x3"}[kind]
    return name + f"_stride_{stride}" * (stride > 1) + "_norm" * normalised


def _pooling(function, stride, normalised):
    return lambda x: normalise(function(x, stride)) if normalised else function(x, stride)


PREPARATIONS.update(
    {
        _pooling_name(kind, stride, normalised): _pooling(function, stride, normalised)
        for kind, function in (("average", average_pool), ("max", max_pool))
        for stride in (1, 2)
        for normalised in (False, True)
    }
)
