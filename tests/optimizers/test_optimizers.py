"""SGD and Adam against the formulas of the reference implementations in float64, and against those themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.optimizers.optimizers import SGD, Adam, adam, sgd

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


def run_torch(torch, make):
    parameters = [torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in START]
    optimizer = make(parameters)
    for rate, gradients in zip(RATES, GRADIENTS, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_equals_torch(nesterov):
    torch = pytest.importorskip("torch")
    settings = {"momentum": 0.9, "nesterov": nesterov, "weight_decay": DECAY}
    expected = run_torch(torch, lambda parameters: torch.optim.SGD(parameters, lr=1.0, **settings))
    assert_equal(run(SGD(**settings)), expected)


def test_adam_equals_torch():
    torch = pytest.importorskip("torch")
    expected = run_torch(torch, lambda parameters: torch.optim.Adam(parameters, betas=(0.5, 0.999), weight_decay=DECAY))
    assert_equal(run(Adam(beta_1=0.5, weight_decay=DECAY)), expected, 5e-5)


@pytest.mark.parametrize("optimizer", [sgd(nesterov=True, weight_decay=0.1), adam(beta_1=0.3, weight_decay=0.1)])
def test_configuration_round_trip(optimizer):
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert_equal(run(again), run(optimizer), 0)


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
    ],
)
def test_refuses_impossible_settings(make):
    with pytest.raises(ValueError, match="Received"):
        make()
