"""Exponentiated gradient, for logits that stand for points of the simplex."""

import gin
import keras
import tensorflow as tf

from tf_edd.errors import UserError, require_positive, require_share
from tf_edd.optimizers.optimizer import read, tf_variable
from tf_edd.part import checked


@gin.register(module="tf_edd.optimizers", denylist=["learning_rate", "name"])
class ExponentiatedGradient(keras.optimizers.Optimizer):
    """Exponentiated gradient with a floor on theta = softmax(A), row by row of the logits A (the last axis).

        theta~ = max(theta exp(-rate (g + weight_decay A)), floor),     theta' = theta~ / sum theta~

    g is the gradient that it is given: with `tf_edd.relaxations.MirrorSoftmax` that of theta, with other relaxations
    that of A. A' = ln theta' + c, with c such that ln sum exp(A) never changes: for logits that begin as 0, A is
    ln(O theta) of O candidates. The weight decay is then the penalty weight_decay * sum theta ln(O theta), whose
    gradient with respect to theta is weight_decay (A + 1); the 1 falls out with the division.

    Args:
        learning_rate: The rate. Schedules assign it once per epoch, so gin cannot bind it.
        floor: Least theta before the division, below 1. Variables with a single axis, the weights of edges, have none.
        weight_decay: Coefficient of the entropic penalty, on every variable.
        name: Of the optimizer's variables.

    Raises:
        UserError: A floor outside (0, 1), or a negative decay.

    Source: Li et al., "Geometry-Aware Gradient Algorithms for Neural Architecture Search", ICLR 2021, arXiv 2004.07802;
    released code, liamcli/gaea_release, `cnn/architect/architect_edarts.py`, `normalize` and `step`.
    """

    @checked()
    def __init__(
        self,
        learning_rate=0.1,
        floor: float = 1e-5,
        weight_decay: float = 0.0,
        name: str = "exponentiated_gradient",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        require_share(below_one=True, floor=floor)
        if floor == 0:  # its logarithm is stored
            raise UserError(f"floor must be above 0. Received: floor={floor!r}")
        if weight_decay != 0:
            require_positive(" or 0", weight_decay=weight_decay)
        # `weight_decay` is the name of Keras' own, decoupled decay.
        self.floor, self.coupled_decay = floor, weight_decay

    def values_after(self, gradients, variables, learning_rate=None):
        """See `LooksAhead`."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        return [
            self._after(gradient, read(variable), rate)
            for gradient, variable in zip(gradients, map(tf_variable, variables), strict=True)
        ]

    def update_step(self, gradient, variable, learning_rate):
        """One update of one variable."""
        variable.assign(self._after(gradient, read(variable), learning_rate))

    def __repr__(self):
        return f"ExponentiatedGradient(floor={self.floor}, weight_decay={self.coupled_decay})"

    def get_config(self):
        return {
            "learning_rate": float(self.learning_rate.numpy()),
            "floor": self.floor,
            "weight_decay": self.coupled_decay,
            "name": self.name,
        }

    def _after(self, gradient, value, rate):
        """The logits after an update."""
        step = tf.cast(rate, value.dtype) * (tf.cast(gradient, value.dtype) + self.coupled_decay * value)
        total = _log_sum(value)
        moved = value - step
        if value.shape.rank != 1:  # a table of edges has rows of its own, one for each node, and no floor
            moved = tf.maximum(moved, total + tf.math.log(tf.constant(self.floor, value.dtype)))
        return moved - (_log_sum(moved) - total)


def _log_sum(value: tf.Tensor) -> tf.Tensor:
    """ln sum exp(A) of each row; a scalar is a row of its own."""
    return tf.reduce_logsumexp(value, axis=-1, keepdims=True) if value.shape.rank else tf.identity(value)
