"""Candidates without weights: none, skip connection, average pooling."""

import keras
import tensorflow as tf

from tf_edd.operations.base import PREPARATIONS, Operation


@keras.saving.register_keras_serializable(package="tf_edd")
class Identity(Operation):
    """The skip connection of stride 1: `scale * x`."""

    def call(self, x, scale=None, training=False):
        """Scale * x."""
        return weigh(x, scale)


@keras.saving.register_keras_serializable(package="tf_edd")
class AveragePool(Operation):
    """3x3 average pooling of stride 1, the padding not counted; the pooling itself is the shared preparation."""

    preparation = "avg_pool_3x3"

    def call(self, x, scale=None, training=False):
        """Scale * x; x has been pooled."""
        return weigh(x, scale)


@keras.saving.register_keras_serializable(package="tf_edd")
class Zero(Operation):
    """`none`: zeros. In a mixture it adds nothing; a node that gets no other input becomes zeros by it."""

    def call(self, x, scale=None, training=False):
        """Zeros of the shape of x."""
        return tf.zeros_like(x)


PREPARATIONS["avg_pool_3x3"] = lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME")


def weigh(x, scale):
    """x times the scalar `scale`, in the precision of x."""
    return x if scale is None else x * tf.cast(scale, x.dtype)
