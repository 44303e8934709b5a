"""What an optimizer can do beyond Keras' interface; ask by `isinstance(unscaled(optimizer), ...)`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import keras
import tensorflow as tf


@runtime_checkable
class LooksAhead(Protocol):
    """An optimizer that can tell the result of an update without making it."""

    def values_after(self, gradients: Sequence[tf.Tensor], variables: Sequence, learning_rate=None) -> list[tf.Tensor]:
        """The values that the variables would have after one update with these gradients.

        Weight decay and momentum are included, and nothing is written. The result is differentiable with respect to
        the gradients. Call it in replica context, where there is one.

        Args:
            gradients: One for each variable, over all replicas, clipped and unscaled.
            variables: Variables that the optimizer was built with.
            learning_rate: Rate of the update; None stands for the optimizer's own.

        Returns:
            One tensor for each variable, of its shape and type.
        """


@runtime_checkable
class Selective(Protocol):
    """An optimizer that can leave some of its variables alone."""

    def only(self, used: Sequence[tf.Tensor | None]) -> AbstractContextManager[None]:
        """A context in which an update leaves a variable and its slots as they are where the variable's flag is false.

        Args:
            used: A bool scalar, or None for true, for each variable, in the order of `build`.
        """


def unscaled(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer inside a `LossScaleOptimizer`, or the optimizer itself."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def own_optimizer(optimizer: keras.optimizers.Optimizer | None) -> keras.optimizers.Optimizer | None:
    """A copy without any state; under float16 with a scaled loss."""
    if optimizer is None:
        return None
    copy = type(optimizer).from_config(optimizer.get_config())
    scaled = keras.config.dtype_policy().name == "mixed_float16"
    return keras.optimizers.LossScaleOptimizer(copy) if scaled else copy


def read(variable: tf.Variable) -> tf.Tensor:
    """The value of a variable of TensorFlow, by one operation; `read_value` takes two, and there are thousands."""
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def tf_variable(variable) -> tf.Variable:
    """The TensorFlow variable of a Keras variable, or the variable itself."""
    return variable.value if isinstance(variable, keras.Variable) else variable
