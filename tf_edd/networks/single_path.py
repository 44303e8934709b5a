"""Gradients of the weights of an edge that runs one of its candidates."""

import tensorflow as tf


@tf.custom_gradient
def weighted_single(output: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The output of the candidate that an edge runs, with gradients for the weights of all its candidates.

        d L / d weight_o = <g, output> for the candidate that is run,  <g, 1> for the others

    where g is the gradient with respect to the output. So a candidate that is not run counts as the constant 1, which
    costs nothing to know: GDAS adds the weights of 0 of such candidates, as numbers, to the node. The gradient of the
    output is that of a weight of 1.

    Args:
        output: [B, H, W, C] of the one candidate that is run.
        weights: [O] float32, 1 for that candidate and 0 for the others.

    Source: Dong and Yang, CVPR 2019, arXiv 1910.04465; D-X-Y/AutoDL-Projects,
    `xautodl/models/cell_searchs/search_cells.py`, `forward_gdas`.
    """

    def gradient(upstream):
        slopes = tf.cast(upstream, tf.float32)
        own = tf.reduce_sum(slopes * tf.cast(output, tf.float32))
        return _times_own(upstream, weights), tf.where(weights > 0.5, own, tf.reduce_sum(slopes))

    return tf.identity(output), gradient


@tf.custom_gradient
def _times_own(upstream: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The upstream gradient times the one weight of 1, of which only a second derivative takes notice."""

    def gradient(slope):
        return slope, weights * tf.reduce_sum(tf.cast(slope, tf.float32) * tf.cast(upstream, tf.float32))

    return tf.identity(upstream), gradient
