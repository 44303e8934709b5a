"""Stochastic gradient descent with momentum, as PyTorch has it."""

import contextlib

import gin
import keras
import tensorflow as tf

from tf_edd.errors import require_positive, require_share
from tf_edd.optimizers.optimizer import read, tf_variable
from tf_edd.part import checked


@gin.register(module="tf_edd.optimizers", denylist=["learning_rate", "name"])
class SGD(keras.optimizers.Optimizer):
    """SGD with momentum, whose weight decay joins the gradient before the velocity.

        g  = gradient + weight_decay w
        v' = momentum v + g
        w' = w - rate v'                        or, with Nesterov's momentum, w' = w - rate (g + momentum v')

    Args:
        learning_rate: The rate. Schedules assign it once per epoch, so gin cannot bind it.
        momentum: 0 <= momentum < 1.
        nesterov: Whether to look ahead by one step of the velocity.
        weight_decay: Coefficient of the coupled L2 penalty, on every variable.
        name: Of the optimizer's variables.

    Raises:
        UserError: A momentum outside [0, 1) or a negative decay.

    Source: `torch.optim.SGD`.
    """

    @checked()
    def __init__(
        self,
        learning_rate=0.025,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 3e-4,
        name: str = "sgd",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        require_share(below_one=True, momentum=momentum)
        if weight_decay != 0:
            require_positive(" or 0", weight_decay=weight_decay)
        # `weight_decay` is the name of Keras' own, decoupled decay.
        self.momentum, self.nesterov, self.coupled_decay = momentum, nesterov, weight_decay
        self._used = None

    @contextlib.contextmanager
    def only(self, used):
        """See `Selective`."""
        self._used = list(used)
        try:
            yield
        finally:
            self._used = None

    def values_after(self, gradients, variables, learning_rate=None):
        """See `LooksAhead`. `only` has no effect on it."""
        variables = [tf_variable(variable) for variable in variables]
        numbers = self._numbers_by_dtype(self.learning_rate if learning_rate is None else learning_rate, variables)
        values = []
        for gradient, variable in zip(gradients, variables, strict=True):
            rate, momentum, decay = numbers[variable.dtype]
            value = read(variable)
            gradient = tf.cast(gradient, variable.dtype) + decay * value
            velocity = momentum * read(self._velocity(variable)) + gradient
            values.append(value - rate * (gradient + momentum * velocity if self.nesterov else velocity))
        return values

    def build(self, variables):
        """Creates one velocity for each variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        """One update of one variable by TensorFlow's fused momentum kernel."""
        self._update(gradient, variable, self._numbers(learning_rate, variable.dtype))

    def __repr__(self):
        return f"SGD(momentum={self.momentum}, nesterov={self.nesterov}, weight_decay={self.coupled_decay})"

    def get_config(self):
        return {
            "learning_rate": float(self.learning_rate.numpy()),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.coupled_decay,
            "name": self.name,
        }

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """All updates. With one replica without Keras' machinery, half of the tracing time of a thousand variables."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        variables = [tf_variable(variable) for variable in trainable_variables]
        numbers = self._numbers_by_dtype(learning_rate, variables)
        for gradient, variable in zip(grads, variables, strict=True):
            self._update(gradient, variable, numbers[variable.dtype])

    def _numbers(self, learning_rate, dtype):
        """Rate, momentum and decay as tensors."""
        return tf.cast(learning_rate, dtype), tf.constant(self.momentum, dtype), tf.constant(self.coupled_decay, dtype)

    def _numbers_by_dtype(self, learning_rate, variables):
        return {dtype: self._numbers(learning_rate, dtype) for dtype in {variable.dtype for variable in variables}}

    def _velocity(self, variable):
        return self.velocities[self._get_variable_index(variable)].value

    def _update(self, gradient, variable, numbers):
        flag = None if self._used is None else self._used[self._get_variable_index(variable)]
        if flag is None:
            self._move(gradient, variable, numbers)
            return

        def move():
            self._move(gradient, variable, numbers)
            return tf.constant(0)

        tf.cond(flag, move, lambda: tf.constant(0))

    def _move(self, gradient, variable, numbers):
        rate, momentum, decay = numbers
        velocity = self._velocity(variable)
        gradient = tf.cast(gradient, variable.dtype)
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=rate,
            grad=tf.raw_ops.AddV2(x=gradient, y=tf.raw_ops.Mul(x=decay, y=read(variable))),
            momentum=momentum,
            use_nesterov=self.nesterov,
        )
