"""What the samplers of paths and of images share."""

import tensorflow as tf


def state_variable(value, name) -> tf.Variable:
    """A float32 variable of a sampler, which is in the checkpoint and the same on all replicas."""
    return tf.Variable(
        value,
        dtype=tf.float32,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # replicas record the same numbers
    )
