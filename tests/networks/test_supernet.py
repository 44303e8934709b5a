"""The supernet against published counts, an independent NumPy network and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import forward

from tf_edd.analysis.counting import count_supernet
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.spaces import nas_bench_201

SPACE = nas_bench_201(4, 1)
CLASSES = 3


def parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def build(space=SPACE, image_shape=(8, 8, 3), seed=0, **settings):
    """A supernet whose weights, gammas and betas are all random."""
    keras.utils.set_random_seed(seed)
    supernet = Supernet(space, CLASSES, **settings)
    supernet.build((None, *image_shape))
    rng = np.random.default_rng(seed)
    for variable in supernet.trainable_variables:
        variable.assign(variable + 0.2 * rng.normal(size=variable.shape))
    return supernet


def images(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mixture(seed=2, sparse=False):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(5), size=6)
    if sparse:
        probs = np.eye(5)[rng.integers(0, 5, 6)] * 0.7 + np.eye(5)[rng.integers(0, 5, 6)] * 0.3
    return probs.astype(np.float32)


@pytest.mark.slow
def test_parameters_of_the_published_supernet():
    """DrNAS' and PT's supernet, 16 channels, 5 cells per stage, CIFAR-10 (methods.md 6.1)."""
    supernet = Supernet(nas_bench_201(16, 5), 10)
    supernet.build((None, 32, 32, 3))
    assert parameters(supernet) == 1_686_106
    assert not supernet.non_trainable_variables


@pytest.mark.parametrize("running", [False, True])
def test_moving_averages_only_on_request(running):
    supernet = Supernet(SPACE, CLASSES, running)
    supernet.build((None, 8, 8, 3))
    assert parameters(supernet) == count_supernet(SPACE, (8, 8, 3), CLASSES).parameters
    # Two a batch norm: stem, 3 cells x 6 edges x 2 convolutions, 2 reductions x 2, head.
    assert len(supernet.non_trainable_variables) == running * 2 * (1 + 36 + 4 + 1)


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_equals_an_independent_network(cells, training):
    supernet = build(nas_bench_201(4, cells))
    x, probs = images(4, 8, 8, 3), mixture()
    result = supernet(x, {"cell": probs}, training=training)  # batch statistics in evaluation too
    expected = forward(x, probs, [variable.numpy() for variable in supernet.trainable_variables], cells)
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_equals_an_independent_network_for_discrete_cells(seed):
    supernet = build()
    x = images(4, 8, 8, 3)
    one_hot = np.eye(5, dtype=np.float32)[np.random.default_rng(seed).integers(0, 5, 6)]
    expected = forward(x, one_hot, [variable.numpy() for variable in supernet.trainable_variables])
    for options in ({}, {"unused": Unused()}, {"single_path": True}):
        result = supernet(x, {"cell": one_hot}, training=True, **options)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 12, 2), (16, 4, 3)])
def test_other_image_shapes(shape):
    supernet = build(image_shape=shape)
    x, probs = images(4, *shape), mixture()
    expected = forward(x, probs, [variable.numpy() for variable in supernet.trainable_variables])
    np.testing.assert_allclose(supernet(x, {"cell": probs}, training=True), expected, rtol=1e-4, atol=1e-4)


def test_odd_sides_are_rounded_up():
    supernet = build(image_shape=(7, 9, 3))
    assert supernet(images(4, 7, 9, 3), {"cell": mixture()}, training=True).shape == (4, CLASSES)


def test_gradient_of_the_probabilities_by_finite_differences():
    supernet = build()
    x, probs = images(8, 8, 8, 3), mixture()
    upstream = images(8, CLASSES, seed=7)
    with tf.GradientTape() as tape:
        beta = tf.constant(probs)
        tape.watch(beta)
        loss = tf.reduce_sum(supernet(x, {"cell": beta}, training=True) * upstream)
    slope = tape.gradient(loss, beta).numpy()
    weights = [variable.numpy() for variable in supernet.trainable_variables]

    def value(table):  # in float64, where differences are exact enough
        return np.sum(forward(x, table, weights) * upstream)

    np.testing.assert_array_equal(slope[:, 0], 0)  # `none` contributes nothing
    h = 1e-5
    for edge, op in [(0, 1), (0, 3), (1, 2), (2, 4), (3, 3), (4, 1), (5, 2), (5, 4)]:
        step = np.zeros((6, 5))
        step[edge, op] = h
        expected = (value(probs + step) - value(probs - step)) / (2 * h)
        np.testing.assert_allclose(slope[edge, op], expected, rtol=2e-3, atol=2e-3 * np.abs(slope).max())


@pytest.mark.slow
def test_skipping_unused_operations_changes_nothing():
    supernet = build()
    x, probs = images(8, 8, 8, 3), tf.constant(mixture(sparse=True))
    assert 0.5 < np.mean(probs == 0) < 0.9
    variables = supernet.trainable_variables

    @tf.function
    def pass_(beta, skip):
        with tf.GradientTape() as tape:
            outputs = supernet(x, {"cell": beta}, training=True, unused=Unused() if skip else None)
            loss = tf.reduce_sum(outputs * images(8, CLASSES))
        values = [variable.value for variable in variables]
        return outputs, tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    (outputs, gradients), (all_outputs, all_gradients) = pass_(probs, True), pass_(probs, False)
    np.testing.assert_allclose(outputs, all_outputs, rtol=1e-5, atol=1e-6)
    for one, other in zip(gradients, all_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert sum(not np.any(gradient) for gradient in gradients) >= 10  # kernels of the operations left out


def test_running_statistics_decide_evaluation_only():
    supernet = build(running_statistics=True)
    plain = build()  # of the same seed
    x, probs = images(8, 8, 8, 3), {"cell": mixture()}
    np.testing.assert_allclose(supernet(x, probs, training=True), plain(x, probs, training=True), rtol=1e-4, atol=1e-5)
    assert np.abs(supernet(x, probs, training=False) - plain(x, probs, training=False)).max() > 0.01
    one = supernet(x[:1], probs, training=False)
    np.testing.assert_allclose(one, supernet(x, probs, training=False)[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [(5, 6), (6, 4)])
def test_refuses_probabilities_of_another_shape(wrong):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="shape"):
        build()(images(4, 8, 8, 3), {"cell": np.full(wrong, 0.2, np.float32)}, training=True)
