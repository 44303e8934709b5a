"""Candidates of negligible weight: what a pass does not compute of them."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_edd.architectures.mask import is_closed

NEGLIGIBLE = 2.0**-32  # 256 times less than the rounding of float32, and of the gradient's other terms


class Unused(NamedTuple):
    """Which candidates a pass leaves out, and what it asks of the gradient.

    Attributes:
        negligible: The largest weight of a candidate that is left out.
        forward: False in a pass whose gradients are those of the variables: the weights get none, and a candidate that
            is left out is not run. True in a pass whose gradients are those of the weights: the variables get none,
            and a candidate that is left out is run forward, since the gradient of its weight is an inner product with
            its output, but not backward.
        masked: Whether a mask may have closed candidates (`architectures.mask`). A closed one is not run in either
            pass: nobody asks for the gradient of its weight.
    """

    negligible: float = NEGLIGIBLE
    forward: bool = False
    masked: bool = False


def if_used(run: Callable, x: tf.Tensor, weight: tf.Tensor, zeros: tf.Tensor, unused: Unused) -> tf.Tensor:
    """The weighted output of a candidate, or zeros in its place.

    Args:
        run: input, weight (None for 1) -> weighted output; without gradients where the pass does not ask for them.
        x: the prepared input.
        weight: of the candidate, a scalar float32.
        zeros: what stands for the output; one tensor serves all candidates.
        unused: which candidates are left out.
    """

    def used():
        return run(x, weight)

    def absent():
        return _absent(x, zeros)

    def felt():
        return _felt(x, weight, run(tf.stop_gradient(x), None), zeros)

    counts = weight > unused.negligible
    if unused.forward and unused.masked:
        case = tf.where(counts, 0, tf.where(is_closed(weight), 1, 2))
        return tf.switch_case(case, [used, absent, felt])
    return tf.cond(counts, used, felt if unused.forward else absent)


@tf.custom_gradient
def _absent(x, zeros):
    """`zeros`, with a gradient of zeros for x."""
    term = tf.identity(zeros)  # of this branch: the gradient of a shared function cannot reach what is outside of it
    return term, lambda _: (_zeros_like(x, term), None)


@tf.custom_gradient
def _felt(x, weight, output, zeros):
    """`zeros`, with the gradient of weight * output for the weight, and of zeros for x."""
    term = tf.identity(zeros)

    def backward(upstream):
        slope = tf.reduce_sum(tf.cast(upstream, tf.float32) * tf.cast(output, tf.float32))
        return _zeros_like(x, term), slope, None, None

    return term, backward


def _zeros_like(x, zeros):
    """`zeros` again where they have the shape of x, which spares writing other ones; None otherwise."""
    return zeros if x.shape[1:] == zeros.shape[1:] else None
