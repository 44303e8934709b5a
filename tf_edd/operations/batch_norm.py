"""Batch normalization on TensorFlow's fused kernel, synchronized over replicas."""

import keras
import tensorflow as tf

EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="tf_edd")
class BatchNorm(keras.layers.Layer):
    """y = scale * (gamma * (x - mean) / sqrt(variance + epsilon) + beta), statistics over batch, height and width.

    Keras' own layer runs unfused moments on TensorFlow; this one calls the fused kernel (oneDNN, cuDNN), which takes
    the mixing weight of an edge as its scale for free. With several replicas the statistics are those of the global
    batch. Moving variances are unbiased, as in the reference implementations.

    Args:
        affine: whether gamma and beta are learned.
        running_statistics: whether to keep moving averages and use them outside training; otherwise the statistics of
            the batch are always used and nothing is kept.
        momentum: weight of the old moving average.
        epsilon: added to the variance.

    Call arguments:
        x: [B, H, W, C].
        scale: scalar float32 (the mixing weight of an edge) or None for 1.
        training: whether to use (and track) the statistics of the batch.
    """

    def __init__(self, affine=True, running_statistics=True, momentum=0.9, epsilon=EPSILON, **kwargs):
        super().__init__(**kwargs)
        self.affine = affine
        self.running_statistics = running_statistics
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        # The fused kernel takes float32 for everything but x, under mixed precision too: no autocast.
        common = {"shape": (input_shape[-1],), "dtype": "float32", "autocast": False}
        if self.affine:
            self.gamma = self.add_weight(name="gamma", initializer="ones", **common)
            self.beta = self.add_weight(name="beta", initializer="zeros", **common)
        if self.running_statistics:
            kept = {**common, "trainable": False}
            self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **kept)
            self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **kept)

    def call(self, x, scale=None, training=False):
        factor, offset = self._scale_and_offset(scale, x.shape[-1])
        if self.running_statistics and not training:
            moving = self.moving_mean.value, self.moving_variance.value
            return _fused(x, factor, offset, *moving, self.epsilon, is_training=False)[0]
        y, mean, variance = _by_the_batch(x, factor, offset, self.epsilon)
        if self.running_statistics:
            self._track(mean, variance)
        return y

    def _scale_and_offset(self, scale, channels):
        scale = None if scale is None else tf.cast(scale, tf.float32)
        if not self.affine:
            return tf.ones([channels]) if scale is None else tf.fill([channels], scale), tf.zeros([channels])
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return (gamma, beta) if scale is None else (scale * gamma, scale * beta)

    def _track(self, mean, variance):
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(value) * (1 - self.momentum))

    def compute_output_shape(self, input_shape, **_):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "affine": self.affine,
            "running_statistics": self.running_statistics,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }


def normalize(x, epsilon=EPSILON):
    """(x - mean) / sqrt(variance + epsilon) by the statistics of the global batch: batch norm without state."""
    return _by_the_batch(x, tf.ones([x.shape[-1]]), tf.zeros([x.shape[-1]]), epsilon)[0]


def replicas() -> int:
    """Number of replicas that share the batch of the current computation."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context is not None else 1


def _by_the_batch(x, scale, offset, epsilon):
    """Normalized x, mean and unbiased variance of the global batch."""
    if replicas() == 1:
        nothing = tf.constant([], tf.float32)
        return _fused(x, scale, offset, nothing, nothing, epsilon, is_training=True)
    mean, variance = _global_moments(x)
    y = tf.nn.batch_normalization(tf.cast(x, tf.float32), mean, variance, offset, scale, epsilon)
    count = replicas() * tf.size(x) // tf.shape(x)[-1]
    variance *= tf.cast(count, tf.float32) / tf.cast(tf.maximum(count - 1, 1), tf.float32)
    return tf.cast(y, x.dtype), mean, variance


def _fused(x, scale, offset, mean, variance, epsilon, is_training):
    return tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=tf.convert_to_tensor(mean, tf.float32),
        variance=tf.convert_to_tensor(variance, tf.float32),
        epsilon=epsilon,
        is_training=is_training,
    )[:3]


def _global_moments(x):
    """Mean and biased variance over all replicas; two passes, since E[x^2] - E[x]^2 loses digits."""
    x = tf.cast(x, tf.float32)
    mean = _mean_over_replicas(tf.reduce_mean(x, [0, 1, 2]))
    squares = tf.reduce_mean(tf.math.squared_difference(x, mean), [0, 1, 2])
    return mean, _mean_over_replicas(squares)


def _mean_over_replicas(x):
    context = tf.distribute.get_replica_context()
    if isinstance(context.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, x)
    return _mean_over_local_replicas(x)


@tf.custom_gradient
def _mean_over_local_replicas(x):
    """The all-reduce and its gradient, which is the same all-reduce."""
    # TensorFlow's own gradient searches the whole graph of the other replicas for variables, again for each batch norm:
    # minutes of tracing. A custom gradient ends that search.
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stop_gradient(x)), _mean_over_local_replicas
