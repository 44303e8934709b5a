"""Stem, reduction block and head against NumPy."""

import keras
import numpy as np
import pytest
from numpy_supernet import convolve, normalise, reduction, relu

from tf_edd.networks.blocks import Head, Reduction, build_block
from tf_edd.operations import ConvBN
from tf_edd.spaces import Block

BATCH_STATISTICS = {"affine": True, "running_statistics": False}


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def randomise(layer, seed=1):
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return [variable.numpy() for variable in layer.trainable_variables]


def test_reduction_equals_numpy():
    x = images(4, 8, 6, 3)
    layer = Reduction(5, BATCH_STATISTICS)
    layer.build(x.shape)
    weights = randomise(layer)
    assert sum(weight.size for weight in weights) == 9 * 3 * 5 + 9 * 5 * 5 + 3 * 5 + 2 * 2 * 5
    result = layer(x, training=True)
    np.testing.assert_allclose(result, reduction(x, iter(weights)), rtol=1e-4, atol=1e-4)
    assert layer.compute_output_shape(x.shape) == result.shape == (4, 4, 3, 5)


@pytest.mark.parametrize("side", [7, 8])
def test_both_paths_of_a_reduction_agree_on_the_shape(side):
    layer = Reduction(2, BATCH_STATISTICS)
    layer.build((4, side, side, 3))
    assert layer(images(4, side, side, 3), training=True).shape == (4, 4, 4, 2)


def test_head_equals_numpy():
    x = images(4, 3, 5, 6)
    layer = Head(7, BATCH_STATISTICS)
    layer.build(x.shape)
    randomise(layer)
    y = relu(normalise(x, layer.batch_norm.gamma.numpy(), layer.batch_norm.beta.numpy())).mean((1, 2))
    expected = y @ layer.kernel.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == (4, 7)


def test_classifier_starts_within_the_bound_of_the_reference():
    layer = Head(100)
    layer.build((None, 4, 4, 64))
    for variable in (layer.kernel, layer.bias):  # 1 / sqrt(fan_in), the bias as well (methods.md 1.1)
        assert 0.9 / 8 < np.abs(variable.numpy()).max() <= 1 / 8


def test_stem_is_a_convolution_and_batch_norm_without_relu():
    x = images(4, 6, 6, 3)
    stem = build_block(Block("stem", 4), 10, BATCH_STATISTICS, {}, None, "stem")
    assert isinstance(stem, ConvBN)
    stem.build(x.shape)
    kernel, gamma, beta = randomise(stem)
    result = stem(x, training=True).numpy()
    np.testing.assert_allclose(result, normalise(convolve(x, kernel), gamma, beta), rtol=1e-4, atol=1e-4)
    assert result.min() < -0.5


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_head_answers_in_float32(policy):
    low = keras.dtype_policies.DTypePolicy(policy)
    layer = Head(3, BATCH_STATISTICS, dtype=low)
    layer.build((4, 2, 2, 5))
    x = keras.ops.cast(images(4, 2, 2, 5), low.compute_dtype)
    assert layer(x, training=True).dtype == "float32"
    assert {variable.dtype for variable in layer.variables} == {"float32"}


@pytest.mark.parametrize("layer", [Reduction(5, BATCH_STATISTICS), Head(7, BATCH_STATISTICS)])
def test_configuration_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
