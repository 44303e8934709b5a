"""Drop path: training drops paths of a cell at random, separately for each image."""

import keras
import tensorflow as tf

from tf_edd.runtime import seeds


@keras.saving.register_keras_serializable(package="tf_edd")
class DropPath(keras.layers.Layer):
    """Masks Bernoulli(1 - rate) / (1 - rate), a function of (seed, cell, edge, replica) only.

    Args:
        index: number that tells the cell from others.
    """

    def __init__(self, index, **kwargs):
        super().__init__(**kwargs)
        self.index = index

    def build(self, _):
        """Creates rate and seed, which the training program assigns."""
        kept = {"trainable": False, "autocast": False, "initializer": "zeros"}
        self.rate = self.add_weight(name="rate", shape=(), dtype="float32", **kept)
        # Not int32, which TensorFlow cannot assign on a GPU.
        self.seed = self.add_weight(name="seed", shape=(2,), dtype="int64", **kept)

    def set(self, rate, seed) -> None:
        """Assigns the rate, in [0, 1), and the seed [2]."""
        self.rate.assign(tf.cast(rate, "float32"))
        self.seed.assign(tf.cast(seed, "int64"))

    def masks(self, edges: int, x) -> tf.Tensor:
        """Masks [edges, B, 1, 1, 1] in the precision of x [B, H, W, C]."""
        seed = tf.random.fold_in(tf.convert_to_tensor(self.seed.value), tf.constant(self.index, tf.int64))
        keep = 1 - tf.convert_to_tensor(self.rate.value)
        kept = tf.random.stateless_uniform([edges, tf.shape(x)[0], 1, 1, 1], seeds.replica_seed(seed)) < keep
        return tf.cast(tf.cast(kept, tf.float32) / keep, x.dtype)

    def get_config(self):
        return {**super().get_config(), "index": self.index}
