"""From per-replica gradients to one update: reduce, clip, apply. Search and retraining share it."""

import keras
import tensorflow as tf


def apply_gradients(optimizer, gradients, variables, clip: float | None = None) -> tf.Tensor:
    """Adds gradients over replicas, clips their global norm, applies them; call it in replica context.

    The norm is that of the global batch: Keras would clip on each replica and add afterwards.

    Args:
        optimizer: a built Keras optimizer.
        gradients: of this replica's share of the loss (already divided by the global batch, and scaled by
            `optimizer.scale_loss` under float16), in the order of `variables`.
        variables: the Keras variables.
        clip: largest global L2 norm, None for no limit.

    Returns:
        The global norm before clipping, unscaled; 0 for a step that loss scaling skips.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas > 1:
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
    scale = tf.cast(optimizer.scale_loss(1.0), tf.float32)  # gradients of scaled losses have scaled norms
    norm = _global_norm(gradients)
    if clip is not None:
        factor = tf.minimum(1.0, clip * scale / (norm + 1e-6)) / replicas
    else:
        factor = tf.constant(1 / replicas)
    if clip is not None or replicas > 1:
        # The optimizer adds gradients over replicas once more, hence the division.
        gradients = [tf.raw_ops.Mul(x=gradient, y=tf.cast(factor, gradient.dtype)) for gradient in gradients]
    optimizer.apply(gradients, variables)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It skips a step that overflows and lowers its scale: that is how it works, and no reason to stop a search.
        norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
    return norm / scale


def _global_norm(gradients) -> tf.Tensor:
    """The L2 norm of all; `tf.linalg.global_norm` without its colocation, which takes long to trace."""
    halves = [tf.cast(tf.raw_ops.L2Loss(t=gradient), tf.float32) for gradient in gradients]
    return tf.sqrt(2 * tf.reduce_sum(tf.stack(halves)))


def share_of_mean(values: tf.Tensor) -> tf.Tensor:
    """This replica's share of the mean over the global batch of per-example values [b]; shares add up to the mean."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return tf.reduce_sum(values) / tf.cast(tf.size(values) * replicas, values.dtype)


def share_of_accuracy(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """This replica's share of the accuracy of outputs [b, classes] over the global batch."""
    return share_of_mean(tf.cast(tf.equal(tf.argmax(outputs, -1, labels.dtype), labels), tf.float32))
