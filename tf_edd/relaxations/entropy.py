"""The entropy of the probabilities, in nats."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tf_edd.relaxations.relaxation import float32

_TINY = float(np.finfo(np.float32).tiny)


def entropy(probs: tf.Tensor) -> tf.Tensor:
    """Entropy of each row, in nats, with 0 log 0 = 0.

        H(p) = -sum_o p_o log p_o

    Args:
        probs: [E, O], any float type.

    Returns:
        [E] float32. The gradient is finite where a probability is 0.
    """
    probs = float32(probs)
    return -tf.reduce_sum(probs * tf.math.log(tf.maximum(probs, _TINY)), axis=-1)


def mean_entropy(probs: Mapping[str, tf.Tensor] | Iterable[tf.Tensor]) -> tf.Tensor:
    """E(H(beta)), Eq. 13: the mean entropy, in nats, over all edges of all types of cells together.

    Args:
        probs: The probabilities [E, O] of each type of cell, as a mapping or a list; E and O may differ.

    Returns:
        A scalar float32.
    """
    tables = probs.values() if isinstance(probs, Mapping) else probs
    return tf.reduce_mean(tf.concat([entropy(table) for table in tables], axis=0))
