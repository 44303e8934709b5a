"""What the samplers of paths and of images share."""

import tensorflow as tf

from tf_edd.errors import UserError


def state_variable(value, name) -> tf.Variable:
    """A float32 variable of a sampler, which is in the checkpoint and the same on all replicas."""
    return tf.Variable(
        value,
        dtype=tf.float32,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,  # replicas record the same numbers
    )


def check_share(name, value) -> float:
    """Returns `value` if it is in [0, 1], and raises UserError otherwise."""
    if not 0 <= value <= 1:
        raise UserError(f"{name} must be in [0, 1]. Received: {name}={value}")
    return value
