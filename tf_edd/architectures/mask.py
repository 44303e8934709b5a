"""The mask of the candidates that a search still allows, applied to the weights of the candidates."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

_TINY = float(np.finfo(np.float32).tiny)


def restricted(weights: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """The weights of the candidates under a mask.

        all candidates of the edge allowed      beta_eo
        one allowed (a decided edge)            1 for that one, whatever its beta
        none allowed (a removed edge)           0
        some allowed                            beta_eo / sum_o' beta_eo' over those that are

    Decided and removed edges have no gradient. A closed candidate has the weight -0.0, which is 0 in every computation;
    a weight that has merely become 0 is +0.0: its candidate may still win, so the logits want its gradient.

    Args:
        weights: [E, O] float32, rows that sum to 1.
        allowed: [E, O] float32, 1 or 0.

    Returns:
        [E, O] float32.
    """
    open_candidate, count = allowed > 0, tf.reduce_sum(allowed, axis=-1, keepdims=True)
    kept = weights * allowed
    total = tf.reduce_sum(kept, axis=-1, keepdims=True)
    even = tf.math.divide_no_nan(allowed, count)  # where all that are left have underflowed
    shares = tf.where(total > _TINY, tf.math.divide_no_nan(kept, total), even)
    partly = tf.where(count > 1, shares, allowed)
    closed = -tf.zeros_like(weights)  # no constant: TensorFlow keeps one eager tensor for 0.0 and -0.0, which are equal
    return tf.where(count == allowed.shape[-1], weights, tf.where(open_candidate, partly, closed))


def masked(weights: Mapping[str, tf.Tensor], allowed: Mapping[str, tf.Tensor] | None) -> dict[str, tf.Tensor]:
    """`restricted` for all cell types; `allowed` is None where all candidates are.

    A pass that changes the weights afterwards asks once more, so that nothing closed comes back.
    """
    if allowed is None:
        return dict(weights)
    return {cell_type: restricted(value, allowed[cell_type]) for cell_type, value in weights.items()}


def is_closed(weight: tf.Tensor) -> tf.Tensor:
    """Whether a weight of `restricted` is that of a closed candidate: exactly -0.0."""
    return tf.equal(tf.bitcast(weight, tf.int32), tf.constant(-(2**31), tf.int32))
