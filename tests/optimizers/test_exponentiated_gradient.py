"""Exponentiated gradient against the released algorithm of GAEA, which stores theta itself, in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.optimizers import ExponentiatedGradient

RATES = [0.1, 0.1, 0.05, 0.2, 0.0, 0.03, 0.3, 0.1]
SHAPES = [(6, 5), (3, 4)]


def gradients(step, scale):
    rng = np.random.default_rng(step)
    return [scale * rng.normal(size=shape) for shape in SHAPES]


def released(scale, floor, decay):
    """`ArchitectEDARTS.step`: theta * exp(-rate * gradient), clamped from below, divided by its sum."""
    tables = [np.full(shape, 1 / shape[1]) for shape in SHAPES]
    for step, rate in enumerate(RATES):
        for place, gradient in enumerate(gradients(step, scale)):
            theta = tables[place]
            gradient = gradient + decay * (np.log(theta * theta.shape[1]) + 1)  # of decay * sum theta log(theta O)
            theta = np.maximum(theta * np.exp(-rate * gradient), floor)
            tables[place] = theta / theta.sum(1, keepdims=True)
    return tables


def ours(scale, optimizer):
    variables = [keras.Variable(np.zeros(shape), dtype="float32") for shape in SHAPES]
    optimizer.build(variables)
    update = tf.function(lambda slopes: optimizer.apply(slopes, variables))
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        update([tf.constant(slope, tf.float32) for slope in gradients(step, scale)])
    assert update.experimental_get_tracing_count() == 1
    return [variable.numpy().astype(np.float64) for variable in variables]


def theta_of(logits):
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "scale, floor, decay", [(1.0, 1e-5, 0.0), (3.0, 1e-5, 0.3), (40.0, 1e-5, 0.0), (10.0, 0.02, 0.0)]
)
def test_theta_is_that_of_the_released_algorithm(scale, floor, decay):
    expected = released(scale, floor, decay)
    for logits, theta in zip(
        ours(scale, ExponentiatedGradient(floor=floor, weight_decay=decay)), expected, strict=True
    ):
        np.testing.assert_allclose(theta_of(logits), theta, rtol=2e-4)
        # Logits that begin as 0 stay ln(O theta).
        np.testing.assert_allclose(logits, np.log(theta * theta.shape[1]), rtol=1e-4, atol=2e-4)
    if scale >= 10:  # the floor has acted, and without it the result is another
        without = released(scale, 1e-30, decay)
        assert max(np.abs(np.log(a / b)).max() for a, b in zip(expected, without, strict=True)) > 0.5


def test_the_penalty_pulls_towards_the_even_point():
    plain, pulled = (released(3.0, 1e-5, decay)[0] for decay in (0.0, 0.3))
    assert np.abs(np.log(pulled * 5)).mean() < 0.95 * np.abs(np.log(plain * 5)).mean()
    found = theta_of(ours(3.0, ExponentiatedGradient(weight_decay=0.3))[0])
    np.testing.assert_allclose(found, pulled, rtol=2e-4)


def test_a_huge_gradient_leaves_a_corner_with_floors():
    """theta exp(1e5) has no float32; its row is one-hot as far as the floor lets it."""
    variable = keras.Variable(np.zeros((2, 3)), dtype="float32")
    optimizer = ExponentiatedGradient(learning_rate=1.0)
    optimizer.build([variable])
    optimizer.apply([tf.constant([[-1e5, 0.0, 0.0], [1e5, 1e5, 0.0]])], [variable])
    found = variable.numpy()
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found.argmax(1), [0, 2])
    theta = theta_of(found.astype(np.float64))
    np.testing.assert_allclose(theta[1], [3e-5, 3e-5, 1 - 6e-5], rtol=1e-3)  # 1e-5 beside theta = 1 / 3


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"floor": 0.0}, "floor must be above 0. Received: floor=0.0"),
        ({"floor": 1.0}, "floor must lie in"),
        ({"weight_decay": -0.1}, "weight_decay must be a positive number or 0. Received: weight_decay=-0.1"),
        ({"floor": "1e-5"}, "ExponentiatedGradient.floor must be a number"),
    ],
)
def test_refuses_impossible_settings(settings, told):
    with pytest.raises(UserError, match=told):
        ExponentiatedGradient(**settings)
