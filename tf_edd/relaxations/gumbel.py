"""Gumbel noise, which draws from softmax(A) by a maximum, and the softmax of noisy logits."""

import numpy as np
import tensorflow as tf

from tf_edd.relaxations.relaxation import float32, tempered_softmax

_TINY = float(np.finfo(np.float32).tiny)


def gumbel(shape, seed: tf.Tensor) -> tf.Tensor:
    """G = -ln(-ln U) with U uniform on (0, 1): float32 of this shape, the same for the same seed, always finite.

    argmax_o (A_o + G_o) is o with probability softmax(A)_o (Gumbel, 1954).
    """
    uniform = tf.random.stateless_uniform(shape, seed, minval=_TINY)
    return -tf.math.log(-tf.math.log(uniform))


def gumbel_softmax(logits: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """softmax((A + G) / t); [E, O] float32 from [E, O] of any float type.

    The papers have ln softmax(A) in place of A, which differs by a constant in each row.
    """
    logits = float32(logits)
    return tempered_softmax(logits + gumbel(tf.shape(logits), seed), float32(temperature))


def expected_choice(logits: tf.Tensor) -> tf.Tensor:
    """softmax(A): how probable it is that A + G is largest at a candidate, at any temperature."""
    return tf.nn.softmax(float32(logits), axis=-1)
