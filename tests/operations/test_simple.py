"""Operations without weights, and their preparations, in closed form."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.operations import PRIMITIVES
from tf_edd.operations.preparations import PREPARATIONS

X = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)


def apply(name, scale=None):
    operation = PRIMITIVES[name].build(3, 1)
    return operation(PREPARATIONS[operation.preparation](X), scale=scale)


def test_pooling_divides_by_the_real_pixels():
    expected = np.empty_like(X)
    for row in range(4):
        for column in range(5):
            window = X[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            expected[:, row, column] = window.mean((1, 2))
    np.testing.assert_allclose(apply("avg_pool_3x3"), expected, rtol=1e-5, atol=1e-6)


def test_pooling_of_ones_is_one_at_the_edges_too():
    np.testing.assert_allclose(PREPARATIONS["avg_pool_3x3"](np.ones((1, 3, 4, 1), np.float32)), 1.0, rtol=1e-6)


def test_skip_is_the_input_and_none_is_zeros():
    np.testing.assert_array_equal(apply("skip_connect"), X)
    np.testing.assert_array_equal(apply("none"), np.zeros_like(X))


def test_convolutions_read_the_rectified_input():
    for name in ("nor_conv_1x1", "nor_conv_3x3"):
        assert PRIMITIVES[name].build(3, 1).preparation == "relu"
    np.testing.assert_array_equal(PREPARATIONS["relu"](X), np.maximum(X, 0))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", sorted(set(PRIMITIVES) - {"noise"}))
def test_scale_multiplies(name, stride):
    operation = PRIMITIVES[name].build(3, stride)
    operation.build(X.shape)
    prepared = PREPARATIONS[operation.preparation](X)
    plain = operation(prepared, training=True)
    np.testing.assert_allclose(operation(prepared, scale=tf.constant(0.4), training=True), 0.4 * plain, atol=1e-5)


def test_none_of_stride_2_is_half_as_large():
    np.testing.assert_array_equal(PRIMITIVES["none"].build(3, 2)(X), np.zeros((2, 2, 3, 3)))


@pytest.mark.parametrize("name", ["avg_pool_3x3", "max_pool_3x3"])
def test_normalized_pooling_shares_its_norm_unless_it_has_averages(name):
    shared = PRIMITIVES[name].build(3, 1, affine=False, running_statistics=False, pool_norm=True)
    own = PRIMITIVES[name].build(3, 1, affine=False, running_statistics=True, pool_norm=True)
    assert (shared.preparation, own.preparation) == (name + "_norm", name)
    results = [operation(PREPARATIONS[operation.preparation](X), training=True) for operation in (shared, own)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_configuration_round_trip(name):
    operation = PRIMITIVES[name].build(3, 1)
    assert type(operation).from_config(operation.get_config()).get_config() == operation.get_config()
