"""Batch norm against float64 NumPy: values, gradients, averages, mixing weight."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.operations.batch_norm import BatchNorm

EPSILON = 1e-5


def data(shape=(4, 3, 5, 2)):
    return (3 + 2 * np.random.default_rng(0).normal(size=shape)).astype(np.float32)


def moments(x):
    x = x.astype(np.float64)
    return x.mean((0, 1, 2)), x.var((0, 1, 2))


def normalized(x):
    mean, variance = moments(x)
    return (x - mean) / np.sqrt(variance + EPSILON)


@pytest.mark.parametrize("running", [True, False])
def test_normalizes_with_the_batch_in_training(running):
    x = data()
    layer = BatchNorm(affine=True, running_statistics=running)
    layer.build(x.shape)
    layer.gamma.assign([2.0, -1.0])
    layer.beta.assign([0.5, 3.0])
    expected = normalized(x) * [2.0, -1.0] + [0.5, 3.0]
    np.testing.assert_allclose(layer(x, training=True), expected, atol=2e-5)


def test_averages_have_momentum_and_unbiased_variance():
    layer = BatchNorm()
    batches = [data(), 5 * data()[::-1] - 1]
    mean, variance = np.zeros(2), np.ones(2)
    for x in batches:
        layer(x, training=True)
        n = x.size // 2
        batch_mean, batch_variance = moments(x)
        mean = 0.9 * mean + 0.1 * batch_mean
        variance = 0.9 * variance + 0.1 * batch_variance * n / (n - 1)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_evaluates_with_the_averages_and_leaves_them():
    x = data()
    layer = BatchNorm()
    layer.build(x.shape)
    layer.moving_mean.assign([1.0, 2.0])
    layer.moving_variance.assign([4.0, 0.25])
    expected = (x - [1.0, 2.0]) / np.sqrt(np.array([4.0, 0.25]) + EPSILON)
    np.testing.assert_allclose(layer(x, training=False), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, [1.0, 2.0])


def test_without_averages_uses_the_batch_in_evaluation_too():
    x = data()
    layer = BatchNorm(affine=False, running_statistics=False)
    np.testing.assert_allclose(layer(x, training=False), normalized(x), atol=2e-5)
    assert not layer.variables


def test_gradient_by_the_closed_form():
    """dL/dx = gamma / sigma (g - mean(g) - x_hat mean(g x_hat)), the means over batch, height and width."""
    x = data()
    layer = BatchNorm()
    layer.build(x.shape)
    layer.gamma.assign([2.0, -1.0])
    g = np.random.default_rng(1).normal(size=x.shape)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs, training=True) * g.astype(np.float32))
    by_x, by_gamma, by_beta = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
    x_hat, axes = normalized(x), (0, 1, 2)
    sigma = np.sqrt(moments(x)[1] + EPSILON)
    expected = np.array([2.0, -1.0]) / sigma * (g - g.mean(axes) - x_hat * (g * x_hat).mean(axes))
    np.testing.assert_allclose(by_x, expected, atol=2e-5)
    np.testing.assert_allclose(by_gamma, (g * x_hat).sum(axes), rtol=1e-4)
    np.testing.assert_allclose(by_beta, g.sum(axes), rtol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_scale_equals_a_multiplication(affine, training):
    x = data()
    layer = BatchNorm(affine=affine)
    layer.build(x.shape)
    if affine:
        layer.beta.assign([1.0, -2.0])
    plain = layer(x, training=training)
    np.testing.assert_allclose(layer(x, scale=tf.constant(0.25), training=training), 0.25 * plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_keeps_float32_parameters(dtype):
    layer = BatchNorm(dtype=dtype)
    y = layer(data(), scale=tf.constant(0.3), training=True)
    assert y.dtype == dtype.removeprefix("mixed_") and layer.gamma.dtype == layer.moving_mean.dtype == "float32"
    np.testing.assert_allclose(tf.cast(y, tf.float32), 0.3 * normalized(data()), atol=0.02)


def test_configuration_round_trip():
    layer = BatchNorm(affine=False, running_statistics=True, momentum=0.8, epsilon=1e-3)
    assert BatchNorm.from_config(layer.get_config()).get_config() == layer.get_config()
