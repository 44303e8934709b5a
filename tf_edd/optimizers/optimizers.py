"""SGD and Adam with the semantics of the reference implementations, as Keras optimizers.

Keras' own differ in ways that change results silently: its `weight_decay` is decoupled from the gradient, its SGD keeps
the learning rate inside the velocity (so momentum remembers old rates), and its Adam has another epsilon.
"""

import contextlib

import gin
import keras
import tensorflow as tf

from tf_edd.errors import UserError


class SGD(keras.optimizers.Optimizer):
    """v <- momentum v + g, w <- w - rate v, g = gradient + weight_decay w; Nesterov: w <- w - rate (g + momentum v).

    Args:
        learning_rate: the rate; assign `optimizer.learning_rate` to change it.
        momentum: 0 <= momentum < 1.
        nesterov: look ahead by one step of the velocity.
        weight_decay: coupled L2 coefficient, on every variable.

    Raises:
        UserError: a momentum outside [0, 1) or a negative decay.
    """

    def __init__(self, learning_rate=0.025, momentum=0.9, nesterov=False, weight_decay=0.0, name="sgd"):
        super().__init__(learning_rate=learning_rate, name=name)
        _check("momentum", momentum)
        _check("weight_decay", weight_decay, limit=float("inf"))
        self.momentum, self.nesterov, self.coupled_decay = momentum, nesterov, weight_decay
        self._used = None

    @contextlib.contextmanager
    def only(self, used):
        """Within it an update leaves a variable whose flag is false as it is, and its velocity too.

        Args:
            used: per variable, in the order of `build`, a bool scalar, or None for true.
        """
        self._used = list(used)
        try:
            yield
        finally:
            self._used = None

    def build(self, variables):
        """Creates one velocity a variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        """One update of one variable by TensorFlow's fused momentum kernel."""
        self._update(gradient, variable, self._numbers(learning_rate, variable.dtype))

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """All updates. With one replica without Keras' machinery, half of the tracing time of a thousand variables."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        variables = [v.value if isinstance(v, keras.Variable) else v for v in trainable_variables]
        numbers = {dtype: self._numbers(learning_rate, dtype) for dtype in {v.dtype for v in variables}}
        for gradient, variable in zip(grads, variables, strict=True):
            self._update(gradient, variable, numbers[variable.dtype])

    def _numbers(self, learning_rate, dtype):
        """Rate, momentum and decay as tensors."""
        return tf.cast(learning_rate, dtype), tf.constant(self.momentum, dtype), tf.constant(self.coupled_decay, dtype)

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
        velocity = self.velocities[self._get_variable_index(variable)].value
        gradient = tf.cast(gradient, variable.dtype)
        value = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=rate,
            grad=tf.raw_ops.AddV2(x=gradient, y=tf.raw_ops.Mul(x=decay, y=value)),
            momentum=momentum,
            use_nesterov=self.nesterov,
        )

    def get_config(self):
        """Constructor arguments."""
        return {
            "learning_rate": float(self.learning_rate),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.coupled_decay,
            "name": self.name,
        }


class Adam(keras.optimizers.Optimizer):
    """Adam whose weight decay joins the gradient before the moments (Kingma and Ba, arXiv 1412.6980, with L2).

    Args:
        learning_rate: the rate.
        beta_1: decay of the first moment (0.5 for architecture logits, DARTS).
        beta_2: decay of the second moment.
        epsilon: added to the root of the corrected second moment.
        weight_decay: coupled L2 coefficient.

    Raises:
        UserError: a beta outside [0, 1) or a negative decay.
    """

    def __init__(self, learning_rate=3e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8, weight_decay=1e-3, name="adam"):
        super().__init__(learning_rate=learning_rate, name=name)
        _check("beta_1", beta_1)
        _check("beta_2", beta_2)
        _check("weight_decay", weight_decay, limit=float("inf"))
        self.beta_1, self.beta_2, self.epsilon, self.coupled_decay = beta_1, beta_2, epsilon, weight_decay

    def build(self, variables):
        """Creates two moments a variable."""
        if self.built:
            return
        super().build(variables)
        self.first_moments = self.add_optimizer_variables(variables, "first_moment")
        self.second_moments = self.add_optimizer_variables(variables, "second_moment")

    def update_step(self, gradient, variable, learning_rate):
        """One update of one variable."""
        index = self._get_variable_index(variable)
        first, second = self.first_moments[index].value, self.second_moments[index].value
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        gradient = tf.cast(gradient, variable.dtype) + self.coupled_decay * variable
        first.assign(self.beta_1 * first + (1 - self.beta_1) * gradient)
        second.assign(self.beta_2 * second + (1 - self.beta_2) * tf.square(gradient))
        mean = first / (1 - tf.pow(tf.constant(self.beta_1, variable.dtype), step))
        square = second / (1 - tf.pow(tf.constant(self.beta_2, variable.dtype), step))
        variable.assign_sub(tf.cast(learning_rate, variable.dtype) * mean / (tf.sqrt(square) + self.epsilon))

    def get_config(self):
        """Constructor arguments."""
        return {
            "learning_rate": float(self.learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.coupled_decay,
            "name": self.name,
        }


def _check(name, value, limit=1.0):
    if not 0 <= value < limit:
        raise UserError(f"{name} must be in [0, {limit}). Received: {name}={value}")


@gin.configurable(module="tf_edd.optimizers.optimizers")
def sgd(momentum: float = 0.9, nesterov: bool = False, weight_decay: float = 3e-4) -> SGD:
    """SGD for the operation weights; the learning rate comes from a schedule each epoch."""
    return SGD(momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


@gin.configurable(module="tf_edd.optimizers.optimizers")
def adam(beta_1: float = 0.5, beta_2: float = 0.999, weight_decay: float = 1e-3) -> Adam:
    """Adam for the architecture logits; the learning rate comes from a schedule each epoch."""
    return Adam(beta_1=beta_1, beta_2=beta_2, weight_decay=weight_decay)
