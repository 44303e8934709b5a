"""Stems, reduction block, heads and preprocessing against NumPy."""

import keras
import numpy as np
import pytest
from numpy_supernet import convolve, normalize, reduction, relu

from tf_edd.networks.auxiliary import AuxiliaryHead
from tf_edd.networks.blocks import Head, Reduction
from tf_edd.networks.drop_path import DropPath
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.roles import build_block
from tf_edd.networks.stems import EighthStem, QuarterStem
from tf_edd.operations.conv import ConvBN
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
    y = relu(normalize(x, layer.batch_norm.gamma.numpy(), layer.batch_norm.beta.numpy())).mean((1, 2))
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
    stem = build_block(Block("stem", 4), 10, BATCH_STATISTICS, "stem")
    assert isinstance(stem, ConvBN)
    stem.build(x.shape)
    kernel, gamma, beta = randomise(stem)
    result = stem(x, training=True).numpy()
    np.testing.assert_allclose(result, normalize(convolve(x, kernel), gamma, beta), rtol=1e-4, atol=1e-4)
    assert result.min() < -0.5


@pytest.mark.parametrize(("role", "stride"), [("mobile_stem", 1), ("mobile_stem", 2), ("mobile_head", 1)])
def test_convolutions_of_mobile_networks_end_in_relu6(role, stride):
    x = 3 * images(4, 7, 6, 3)
    layer = build_block(Block(role, 5, stride), 10, BATCH_STATISTICS, role)
    layer.build(x.shape)
    layer.batch_norm.gamma.assign([4.0] * 5)
    kernel, gamma, beta = randomise(layer)
    assert kernel.shape == ((3, 3, 3, 5) if role == "mobile_stem" else (1, 1, 3, 5))
    maps = convolve(x, kernel, stride) if stride > 1 else convolve(x, kernel)
    mean, variance = maps.mean((0, 1, 2)), maps.var((0, 1, 2))
    expected = np.clip((maps - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0, 6)
    result = layer(x, training=True).numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert result.max() == 6 and layer.compute_output_shape(x.shape) == result.shape
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_the_first_block_of_a_mobile_network_does_not_expand():
    layer = build_block(Block("mobile_first", 5), 10, BATCH_STATISTICS, "first")
    layer.build((None, 8, 8, 3))
    shapes = sorted(tuple(variable.shape) for variable in layer.trainable_variables)
    assert shapes == sorted([(3, 3, 3, 1), (3,), (3,), (1, 1, 3, 5), (5,), (5,)])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_head_answers_in_float32(policy):
    low = keras.dtype_policies.DTypePolicy(policy)
    layer = Head(3, BATCH_STATISTICS, dtype=low)
    layer.build((4, 2, 2, 5))
    x = keras.ops.cast(images(4, 2, 2, 5), low.compute_dtype)
    assert layer(x, training=True).dtype == "float32"
    assert {variable.dtype for variable in layer.variables} == {"float32"}


def test_classifier_is_a_head_without_norm_and_relu():
    x = images(4, 3, 5, 6)
    layer = build_block(Block("classifier", 6), 7, BATCH_STATISTICS, "classifier")
    layer.build(x.shape)
    kernel, bias = randomise(layer)
    np.testing.assert_allclose(layer(x), x.mean((1, 2)) @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 16, 24, 3), (4, 15, 9, 3)])
def test_stems_for_large_images_equal_numpy(shape):
    x = images(*shape)
    first, second = (build_block(Block(f"stem_{part}", 6), 0, BATCH_STATISTICS, part) for part in ("quarter", "eighth"))
    first.build(x.shape)
    second.build(first.compute_output_shape(x.shape))
    one, gamma_1, beta_1, two, gamma_2, beta_2 = randomise(first)
    half = relu(normalize(convolve(x, one)[:, ::2, ::2], gamma_1, beta_1))
    quarter = normalize(convolve(half, two)[:, ::2, ::2], gamma_2, beta_2)
    result = first(x, training=True)
    np.testing.assert_allclose(result, quarter, rtol=1e-3, atol=1e-4)
    assert one.shape == (3, 3, 3, 3) and first.compute_output_shape(x.shape) == result.shape
    three, gamma_3, beta_3 = randomise(second)
    expected = normalize(convolve(relu(quarter), three)[:, ::2, ::2], gamma_3, beta_3)
    np.testing.assert_allclose(second(result, training=True), expected, rtol=1e-3, atol=1e-3)
    assert second.compute_output_shape(result.shape) == expected.shape


@pytest.mark.parametrize("reduction_prev", [True, False])
def test_preprocess_brings_both_inputs_to_one_shape(reduction_prev):
    inputs = [images(4, 8, 6, 3) if reduction_prev else images(4, 4, 3, 3), images(4, 4, 3, 5)]
    layer = Preprocess(6, 2, reduction_prev, BATCH_STATISTICS)
    layer.build([x.shape for x in inputs])
    results = layer(inputs, training=True)
    assert [result.shape for result in results] == [(4, 4, 3, 6)] * 2
    assert layer.compute_output_shape([x.shape for x in inputs]) == [(4, 4, 3, 6)] * 2
    kernel = layer.layers[1].kernel.numpy()
    np.testing.assert_allclose(results[1], normalize(convolve(relu(inputs[1]), kernel)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stride, last_norm, side", [(3, True, 8), (2, False, 7)])
def test_auxiliary_head_equals_numpy(stride, last_norm, side):
    x = images(4, side, side, 3)
    layer = AuxiliaryHead(5, 6, stride, last_norm, BATCH_STATISTICS)
    layer.build(x.shape)
    randomise(layer)
    windows = [[relu(x)[:, i : i + 5, j : j + 5].mean((1, 2)) for j in (0, stride)] for i in (0, stride)]
    y = np.moveaxis(np.array(windows), 2, 0)  # [B, 2, 2, C]
    y = y @ layer.kernels[0].numpy()[0, 0]
    y = relu(normalize(y, layer.first_norm.gamma.numpy(), layer.first_norm.beta.numpy()))
    y = np.einsum("bijc,ijco->bo", y, layer.kernels[1].numpy())[:, None, None]
    if last_norm:
        y = normalize(y, layer.second_norm.gamma.numpy(), layer.second_norm.beta.numpy())
    expected = relu(y)[:, 0, 0] @ layer.classifier.kernel.numpy() + layer.classifier.bias.numpy()
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-3, atol=1e-3)


LAYERS = [
    Reduction(5, BATCH_STATISTICS),
    Head(7, BATCH_STATISTICS),
    Head(7, activate=False),
    QuarterStem(6, BATCH_STATISTICS),
    EighthStem(6, BATCH_STATISTICS),
    Preprocess(6, 2, True, BATCH_STATISTICS),
    AuxiliaryHead(5, 6, 2, False, BATCH_STATISTICS),
    DropPath(3),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_configuration_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
