"""From per-replica gradients to one update: reduce, clip, apply. Search and retraining share it."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_edd.optimizers.optimizer import unscaled


def apply_gradients(optimizer, gradients, variables, clip: float | None = None, used=None) -> tf.Tensor:
    """Adds gradients over replicas, clips their global norm and applies them; call it in replica context.

    Args:
        optimizer: A built Keras optimizer.
        gradients: See `reduce_and_clip`.
        variables: The Keras variables.
        clip: Largest global L2 norm; None for no limit.
        used: See `apply_clipped`.

    Returns:
        The global norm before clipping, unscaled; 0 for a step that loss scaling skips.
    """
    clipped = reduce_and_clip(optimizer, gradients, clip)
    apply_clipped(optimizer, clipped, variables, used)
    return clipped.norm


class Clipped(NamedTuple):
    """Gradients over all replicas.

    Attributes:
        gradients: As `optimizer.apply` takes them on each replica.
        norm: The global norm before clipping, unscaled; 0 for a step that loss scaling skips.
        norms: [V], the norm of each gradient after clipping, unscaled.
    """

    gradients: list[tf.Tensor]
    norm: tf.Tensor
    norms: tf.Tensor


def reduce_and_clip(optimizer, gradients, clip: float | None = None) -> Clipped:
    """Adds gradients over replicas and clips their global norm; call it in replica context.

    The norm is that of the global batch: Keras would clip on each replica and add afterwards.

    Args:
        optimizer: A Keras optimizer, which may scale losses.
        gradients: Those of this replica's share of the loss (already divided by the global batch, and scaled by
            `optimizer.scale_loss` under float16).
        clip: Largest global L2 norm; None for no limit.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas > 1:
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
    scale = tf.cast(optimizer.scale_loss(1.0), tf.float32)  # gradients of scaled losses have scaled norms
    squares = _squares(gradients)
    norm = tf.sqrt(tf.reduce_sum(squares))
    factor = tf.constant(1.0) if clip is None else tf.minimum(1.0, clip * scale / (norm + 1e-6))
    norms = tf.sqrt(squares) * factor / scale
    if clip is not None or replicas > 1:
        # The optimizer adds gradients over replicas once more, hence the division.
        factor = factor / replicas
        gradients = [tf.raw_ops.Mul(x=gradient, y=tf.cast(factor, gradient.dtype)) for gradient in gradients]
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It skips a step that overflows and lowers its scale: that is how it works, and no reason to stop a search.
        norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
        norms = tf.where(tf.math.is_finite(norms), norms, 0.0)
    return Clipped(gradients, norm / scale, norms)


def apply_clipped(optimizer, clipped: Clipped, variables, used=None) -> None:
    """Applies gradients of `reduce_and_clip`.

    Args:
        optimizer: A built optimizer; with `used` one that is `Selective`.
        clipped: The gradients.
        variables: The Keras variables.
        used: For each variable whether the step may touch it at all, with momentum and weight decay: a bool scalar, or
            None for true. None for all of them.
    """
    if used is None:
        optimizer.apply(clipped.gradients, variables)
        return
    with unscaled(optimizer).only(used):
        optimizer.apply(clipped.gradients, variables)


def _squares(gradients) -> tf.Tensor:
    """The squared L2 norm of each gradient, [V]; `tf.linalg.global_norm` takes long to trace, for it colocates."""
    halves = [tf.cast(tf.raw_ops.L2Loss(t=gradient), tf.float32) for gradient in gradients]
    return 2 * tf.stack(halves)


def share_of_mean(values: tf.Tensor) -> tf.Tensor:
    """This replica's share of the mean over the global batch of per-example values [b]; shares add up to the mean."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return tf.reduce_sum(values) / tf.cast(tf.size(values) * replicas, values.dtype)


def share_of_accuracy(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """This replica's share of the accuracy of outputs [b, classes] over the global batch."""
    return share_of_mean(tf.cast(tf.equal(tf.argmax(outputs, -1, labels.dtype), labels), tf.float32))
