"""Adam, as PyTorch has it."""

import gin
import keras
import numpy as np
import tensorflow as tf

from tf_edd.errors import require_positive, require_share
from tf_edd.optimizers.optimizer import read, tf_variable
from tf_edd.part import checked

_TINY = float(np.finfo(np.float32).tiny)


@gin.register(module="tf_edd.optimizers", denylist=["learning_rate", "name"])
class Adam(keras.optimizers.Optimizer):
    """Adam whose weight decay joins the gradient before the moments.

        g  = gradient + weight_decay w
        m' = beta_1 m + (1 - beta_1) g,     v' = beta_2 v + (1 - beta_2) g^2
        w' = w - rate m' / (1 - beta_1^k) / (sqrt(v' / (1 - beta_2^k)) + epsilon)         in update k = 1, 2, ...

    Args:
        learning_rate: The rate. Schedules assign it once per epoch, so gin cannot bind it.
        beta_1: Decay of the first moment (0.5 for architecture logits, as in DARTS).
        beta_2: Decay of the second moment.
        epsilon: Is added to the root of the corrected second moment.
        weight_decay: Coefficient of the coupled L2 penalty, on every variable.
        name: Of the optimizer's variables.

    Raises:
        UserError: A beta outside [0, 1), or a negative epsilon or decay.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980; `torch.optim.Adam`.
    """

    @checked()
    def __init__(
        self,
        learning_rate=3e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 1e-3,
        name: str = "adam",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        require_share(below_one=True, beta_1=beta_1, beta_2=beta_2)
        for setting, value in (("epsilon", epsilon), ("weight_decay", weight_decay)):
            if value != 0:
                require_positive(" or 0", **{setting: value})
        # `weight_decay` is the name of Keras' own, decoupled decay.
        self.beta_1, self.beta_2, self.epsilon, self.coupled_decay = beta_1, beta_2, epsilon, weight_decay

    def values_after(self, gradients, variables, learning_rate=None):
        """See `LooksAhead`."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        values = []
        for gradient, variable in zip(gradients, map(tf_variable, variables), strict=True):
            value = read(variable)
            _, _, mean, square = self._moments(gradient, variable, value)
            # The root of a moment that is 0 has an infinite slope. Epsilon swallows so small a root.
            root = tf.sqrt(tf.maximum(square, tf.constant(_TINY, square.dtype)))
            values.append(value - tf.cast(rate, variable.dtype) * mean / (root + self.epsilon))
        return values

    def build(self, variables):
        """Creates two moments for each variable."""
        if self.built:
            return
        super().build(variables)
        self.first_moments = self.add_optimizer_variables(variables, "first_moment")
        self.second_moments = self.add_optimizer_variables(variables, "second_moment")

    def update_step(self, gradient, variable, learning_rate):
        """One update of one variable."""
        index = self._get_variable_index(variable)
        first, second, mean, square = self._moments(gradient, variable, read(variable))
        self.first_moments[index].value.assign(first)
        self.second_moments[index].value.assign(second)
        variable.assign_sub(tf.cast(learning_rate, variable.dtype) * mean / (tf.sqrt(square) + self.epsilon))

    def __repr__(self):
        return f"Adam(beta_1={self.beta_1}, beta_2={self.beta_2}, weight_decay={self.coupled_decay})"

    def get_config(self):
        return {
            "learning_rate": float(self.learning_rate.numpy()),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.coupled_decay,
            "name": self.name,
        }

    def _moments(self, gradient, variable, value):
        """Both moments after the next update, and the two without their bias."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        gradient = tf.cast(gradient, variable.dtype) + self.coupled_decay * value
        first = self.beta_1 * read(self.first_moments[index].value) + (1 - self.beta_1) * gradient
        second = self.beta_2 * read(self.second_moments[index].value) + (1 - self.beta_2) * tf.square(gradient)
        mean = first / (1 - tf.pow(tf.constant(self.beta_1, variable.dtype), step))
        square = second / (1 - tf.pow(tf.constant(self.beta_2, variable.dtype), step))
        return first, second, mean, square
