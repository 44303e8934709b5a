"""SGD and Adam against the formulas of the reference implementations in float64."""

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.optimizers import SGD, Adam, LooksAhead, Selective, unscaled

STEPS = 10
RATES = [0.1, 0.1, 0.05, 0.2, 0.0, 0.03, 0.03, 0.3, 0.01, 0.1]  # velocities must not remember old rates
DECAY = 0.05
SHAPES = [(3, 2), (4,)]


def numbers(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in SHAPES]


START = numbers(0)
GRADIENTS = [numbers(1 + step) for step in range(STEPS)]


def run(optimizer):
    variables = [keras.Variable(value, dtype="float32") for value in START]
    optimizer.build(variables)

    @tf.function
    def update(gradients):
        optimizer.apply(gradients, variables)

    for rate, gradients in zip(RATES, GRADIENTS, strict=True):
        optimizer.learning_rate = rate
        update([tf.constant(gradient, tf.float32) for gradient in gradients])
    assert update.experimental_get_tracing_count() == 1
    return [variable.numpy() for variable in variables]


def reference_sgd(momentum, nesterov, decay):
    weights = [value.copy() for value in START]
    velocities = [np.zeros_like(value) for value in START]
    for rate, gradients in zip(RATES, GRADIENTS, strict=True):
        for w, v, gradient in zip(weights, velocities, gradients, strict=True):
            g = gradient + decay * w
            v[...] = momentum * v + g
            w -= rate * (g + momentum * v if nesterov else v)
    return weights


def reference_adam(beta_1, beta_2, decay, epsilon=1e-8):
    weights = [value.copy() for value in START]
    moments = [(np.zeros_like(value), np.zeros_like(value)) for value in START]
    for step, (rate, gradients) in enumerate(zip(RATES, GRADIENTS, strict=True), start=1):
        for w, (m, v), gradient in zip(weights, moments, gradients, strict=True):
            g = gradient + decay * w
            m[...] = beta_1 * m + (1 - beta_1) * g
            v[...] = beta_2 * v + (1 - beta_2) * g**2
            w -= rate * (m / (1 - beta_1**step)) / (np.sqrt(v / (1 - beta_2**step)) + epsilon)
    return weights


def assert_equal(result, expected, atol=1e-5):
    for value, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_sgd_follows_its_formula(momentum, nesterov, decay):
    result = run(SGD(momentum=momentum, nesterov=nesterov, weight_decay=decay))
    assert_equal(result, reference_sgd(momentum, nesterov, decay))


@pytest.mark.parametrize("betas", [(0.5, 0.999), (0.9, 0.99), (0.0, 0.999)])
@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_adam_follows_its_formula(betas, decay):
    # float32 keeps 1 - 0.999^k to 4 digits only, which the root halves
    assert_equal(run(Adam(beta_1=betas[0], beta_2=betas[1], weight_decay=decay)), reference_adam(*betas, decay), 5e-5)


def test_the_references_tell_the_settings_apart():
    """Otherwise the tests above could not fail."""
    several = [reference_sgd(0.9, False, 0.0), reference_sgd(0.9, True, 0.0), reference_sgd(0.9, False, DECAY)]
    several += [reference_adam(0.5, 0.999, 0.0), reference_adam(0.5, 0.999, DECAY), reference_adam(0.9, 0.999, 0.0)]
    for index, one in enumerate(several):
        assert all(np.abs(one[0] - other[0]).max() > 1e-3 for other in several[:index])


@pytest.mark.parametrize("optimizer", [SGD(nesterov=True, weight_decay=0.1), Adam(beta_1=0.3, weight_decay=0.1)])
def test_configuration_round_trip(optimizer):
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert_equal(run(again), run(optimizer), 0)


@pytest.fixture
def empty_gin():
    yield
    gin.clear_config()


def test_gin_binds_the_classes_and_a_copy_has_the_values_of_the_original(empty_gin):
    """A copy is made of what the optimizer has, neither of its defaults nor of later bindings."""
    before = SGD(momentum=0.7, weight_decay=DECAY), Adam(beta_1=0.7, weight_decay=DECAY)
    gin.parse_config(
        """
        SGD.momentum = 0.5
        SGD.nesterov = True
        SGD.weight_decay = 0.1
        Adam.beta_1 = 0.3
        Adam.epsilon = 1e-3
        """
    )
    assert SGD().momentum == 0.9  # what a person makes is not touched
    bound = gin.get_configurable(SGD)(), gin.get_configurable(Adam)()
    assert bound[0].get_config() == {
        "learning_rate": pytest.approx(0.025),
        "momentum": 0.5,
        "nesterov": True,
        "weight_decay": 0.1,
        "name": "sgd",
    }
    assert (bound[1].beta_1, bound[1].epsilon, bound[1].coupled_decay) == (0.3, 1e-3, 1e-3)
    for optimizer in (*before, *bound):
        again = type(optimizer).from_config(optimizer.get_config())
        assert again.get_config() == optimizer.get_config()
    gin.clear_config()
    for optimizer in bound:
        assert type(optimizer).from_config(optimizer.get_config()).get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_gin_cannot_bind_a_rate_that_a_schedule_would_replace(name, empty_gin):
    with pytest.raises(ValueError, match="learning_rate"):
        gin.parse_config(f"{name}.learning_rate = 0.1")


LOOKING_AHEAD = {
    "sgd": lambda: SGD(momentum=0.9, weight_decay=DECAY),
    "sgd without momentum": lambda: SGD(momentum=0.0, weight_decay=0.0),
    "nesterov": lambda: SGD(momentum=0.9, nesterov=True, weight_decay=DECAY),
    "adam": lambda: Adam(weight_decay=DECAY),
}
looking_ahead = pytest.mark.parametrize("make", LOOKING_AHEAD.values(), ids=LOOKING_AHEAD)


def started(optimizer, steps=3):
    """Variables and an optimizer that has moved them a few times."""
    variables = [keras.Variable(value, dtype="float32") for value in START]
    optimizer.build(variables)
    for step in range(steps):
        optimizer.learning_rate = RATES[step]
        optimizer.apply([tf.constant(gradient, tf.float32) for gradient in GRADIENTS[step]], variables)
    return variables


@looking_ahead
@pytest.mark.parametrize("steps", [0, 3])
def test_values_after_are_those_of_the_real_update_and_nothing_is_written(make, steps):
    optimizer = make()
    variables = started(optimizer, steps)
    gradients = [tf.constant(gradient, tf.float32) for gradient in GRADIENTS[steps]]
    optimizer.learning_rate = RATES[steps]
    state = [variable.numpy() for variable in (*variables, *optimizer.variables)]
    ahead = tf.function(lambda *g: optimizer.values_after(g, variables))(*gradients)
    other_rate = optimizer.values_after(gradients, variables, learning_rate=2 * RATES[steps])
    for variable, value in zip((*variables, *optimizer.variables), state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    optimizer.apply(gradients, variables)
    for variable, value, other, old in zip(variables, ahead, other_rate, state[: len(variables)], strict=True):
        assert value.dtype == variable.dtype
        np.testing.assert_allclose(value, variable.numpy(), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(other - old, 2 * (value - old), rtol=1e-4, atol=1e-6)
        assert np.abs(value - old).max() > 1e-3


@looking_ahead
def test_values_after_have_the_slope_of_finite_differences(make):
    optimizer = make()
    variables = started(optimizer)
    gradients = [tf.constant(gradient, tf.float32) for gradient in GRADIENTS[3]]
    upstream = [tf.constant(value, tf.float32) for value in numbers(77)]

    def total(shift=0.0):
        moved = [gradient + shift * direction for gradient, direction in zip(gradients, directions, strict=True)]
        values = optimizer.values_after(moved, variables, learning_rate=0.2)
        return tf.add_n([tf.reduce_sum(value * up) for value, up in zip(values, upstream, strict=True)])

    directions = [tf.constant(value, tf.float32) for value in numbers(78)]
    with tf.GradientTape() as tape:
        tape.watch(gradients)
        values = optimizer.values_after(gradients, variables, learning_rate=0.2)
    slopes = tape.gradient(values, gradients, output_gradients=upstream)
    expected = sum(np.sum(slope * direction) for slope, direction in zip(slopes, directions, strict=True))
    assert float(total(1e-2) - total(-1e-2)) / 2e-2 == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert abs(expected) > 1e-2


@looking_ahead
def test_values_after_a_gradient_of_zero_have_a_finite_slope(make):
    optimizer = make()
    variables = [keras.Variable(np.zeros(3), dtype="float32")]
    optimizer.build(variables)
    gradient = tf.zeros(3)
    with tf.GradientTape() as tape:
        tape.watch(gradient)
        (value,) = optimizer.values_after([gradient], variables)
    np.testing.assert_array_equal(value, 0)
    assert np.isfinite(tape.gradient(value, gradient)).all()


def test_what_an_optimizer_can_do_is_asked_by_its_class():
    scaled = keras.optimizers.LossScaleOptimizer(SGD())
    assert isinstance(unscaled(scaled), Selective) and isinstance(unscaled(scaled), LooksAhead)
    assert unscaled(scaled) is scaled.inner_optimizer
    assert isinstance(Adam(), LooksAhead) and not isinstance(unscaled(Adam()), Selective)
    assert not isinstance(keras.optimizers.SGD(), LooksAhead | Selective)


@pytest.mark.parametrize("make", [lambda: SGD(nesterov=True, weight_decay=DECAY), lambda: Adam(weight_decay=DECAY)])
def test_a_scaled_loss_changes_neither_rates_nor_steps(make):
    """As the search uses them under mixed_float16: the schedule assigns to the wrapper."""
    scaled = keras.optimizers.LossScaleOptimizer(make(), initial_scale=1.0)
    assert_equal(run(scaled), run(make()), 1e-7)
    assert int(scaled.inner_optimizer.iterations) == STEPS


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(momentum=1.0),
        lambda: SGD(momentum=-0.1),
        lambda: SGD(weight_decay=-1e-4),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(beta_2=-0.1),
        lambda: Adam(weight_decay=-1.0),
        lambda: Adam(epsilon=-1e-8),
        lambda: SGD(weight_decay="3e-4"),
    ],
)
def test_refuses_impossible_settings(make):
    with pytest.raises(UserError, match="Received"):
        make()
