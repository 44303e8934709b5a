"""The entropy of the probabilities, in nats."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tf_edd.relaxations.relaxation import float32

_ROUNDING = 1e-5
_TINY = float(np.finfo(np.float32).tiny)


def entropy(probs: tf.Tensor) -> tf.Tensor:
    """Entropy of each row, in nats, with 0 log 0 = 0.

        H(p) = -sum_o p_o log p_o

    A row that does not sum to 1, as with edge weights, is divided by its sum first.

    Args:
        probs: [E, O], any float type.

    Returns:
        [E] float32. The gradient is finite where a probability is 0.
    """
    probs = float32(probs)
    probs = tf.math.divide_no_nan(probs, row_sums(probs))
    return -tf.reduce_sum(probs * tf.math.log(tf.maximum(probs, _TINY)), axis=-1)


def row_sums(probs: tf.Tensor) -> tf.Tensor:
    """The sums [E, 1] of the rows of [E, O]: exactly 1 where only rounding tells them from it."""
    sums = tf.reduce_sum(probs, axis=-1, keepdims=True)
    return tf.where(tf.abs(sums - 1) < _ROUNDING, tf.ones_like(sums), sums)


def mean_entropy(probs: Mapping[str, tf.Tensor] | Iterable[tf.Tensor]) -> tf.Tensor:
    """E(H(beta)), Eq. 13: the mean entropy, in nats, over all edges of all types of cells together.

    Args:
        probs: The probabilities [E, O] of each type of cell, as a mapping or a list; E and O may differ.

    Returns:
        A scalar float32.
    """
    tables = probs.values() if isinstance(probs, Mapping) else probs
    return tf.reduce_mean(tf.concat([entropy(table) for table in tables], axis=0))
