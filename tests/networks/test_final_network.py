"""The final network: sizes of the benchmark's records, wiring in closed form, agreement with the supernet, saving."""

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.errors import UserError
from tf_edd.networks.final_network import NORM, FinalCell, build_final_network
from tf_edd.networks.supernet import Supernet
from tf_edd.operations.conv import ConvBN
from tf_edd.spaces import nas_bench_201

INDEX_11 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
MIXED = "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def uniform(operation):
    o = operation
    return f"|{o}~0|+|{o}~0|{o}~1|+|{o}~0|{o}~1|{o}~2|"


def build(text, channels=4, cells=1, image_shape=(8, 8, 3), classes=10):
    space = nas_bench_201(channels, cells)
    return build_final_network(space, from_text(text, space), image_shape, classes)


def parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def random_images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "classes", "expected"),
    [
        (uniform("nor_conv_3x3"), 10, 1_531_546),
        (uniform("nor_conv_1x1"), 100, 247_156),
        (uniform("none"), 10, 73_306),
        (INDEX_11, 120, 809_576),
        (INDEX_11, 10, 802_426),
    ],
)
def test_parameters_of_the_benchmarks_records(text, classes, expected):
    assert parameters(build(text, 16, 5, (32, 32, 3), classes)) == expected


@pytest.mark.parametrize("text", [INDEX_11, MIXED, uniform("none")])
def test_parameters_equal_the_count_by_arithmetic(text):
    space = nas_bench_201(4, 2)
    genotype = from_text(text, space)
    model = build_final_network(space, genotype, (9, 6, 1), 7)
    assert parameters(model) == count(space, genotype, (9, 6, 1), 7).parameters


def cell(text, channels=2):
    nodes = dict(from_text(text, nas_bench_201()).cells)["cell"]
    return FinalCell([[(op, source, 1) for op, source in node] for node in nodes], channels)


def test_a_cell_of_skips_counts_its_paths():
    x = random_images(2, 5, 4, 2)
    np.testing.assert_allclose(cell(uniform("skip_connect"))([x]), 4 * x, rtol=1e-6)


def test_pooling_and_none_in_closed_form():
    x = random_images(1, 5, 4, 2)

    def pool(values):
        total = scipy.ndimage.convolve(values, np.ones((1, 3, 3, 1)), mode="constant")
        return total / scipy.ndimage.convolve(np.ones_like(values), np.ones((1, 3, 3, 1)), mode="constant")

    text = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
    np.testing.assert_allclose(cell(text)([x]), pool(pool(x)) + x, rtol=1e-5, atol=1e-6)


def test_a_node_without_inputs_is_zeros():
    x = random_images(2, 5, 4, 2)
    cut_off = "|none~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    assert np.all(cell(cut_off)([x]) == np.zeros_like(x))


def test_concatenates_the_intermediate_nodes_of_two_inputs():
    layer = FinalCell([[("skip_connect", 0, 1)], [("skip_connect", 1, 1), ("skip_connect", 2, 1)]], 2, 2, "concat")
    a, b = random_images(1, 3, 3, 2), np.ones((1, 3, 3, 2), np.float32)
    np.testing.assert_allclose(layer([a, b]), np.concatenate([a, a + b], -1), rtol=1e-6)
    assert layer.compute_output_shape([(None, 3, 3, 2)] * 2) == (None, 3, 3, 4)


def test_equals_the_supernet_at_one_hot_probabilities():
    space = nas_bench_201(4, 1)
    genotype = from_text(MIXED, space)
    supernet = Supernet(space, 3)
    supernet.build((None, 8, 8, 3))
    final = build_final_network(space, genotype, (8, 8, 3), 3)
    probs = np.zeros((6, 5), np.float32)
    chosen = [op for node in genotype.nodes("cell") for op, _ in node]
    for edge, name in enumerate(chosen):
        probs[edge, space.cells[0].edges[edge].primitives.index(name)] = 1
    for mixture, layer in zip(supernet.blocks, final.layers[1:], strict=True):
        if isinstance(layer, FinalCell):
            operations = [operation for node in layer.operations for operation in node]
            for operation, mixed, row in zip(operations, mixture.mixed_ops, probs, strict=True):
                if isinstance(operation, ConvBN):
                    operation.kernel.assign(mixed.candidates[int(row.argmax())].kernel)
        else:
            for target, source in zip(layer.trainable_variables, mixture.trainable_variables, strict=True):
                target.assign(source)
    x = random_images(4, 8, 8, 3)
    expected = supernet(x, {"cell": tf.constant(probs)}, training=True)
    np.testing.assert_allclose(final(x, training=True), expected, rtol=1e-4, atol=1e-5)


def test_learns_and_keeps_averages():
    model = build(MIXED)
    before = [variable.numpy() for variable in model.non_trainable_variables]
    model(random_images(4, 8, 8, 3), training=True)
    assert before and all(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, model.non_trainable_variables, strict=True)
    )
    assert NORM == {"affine": True, "running_statistics": True}


@pytest.mark.parametrize("image_shape", [(9, 14, 1), (7, 5, 3)])
def test_other_image_shapes(image_shape):
    model = build(MIXED, image_shape=image_shape, classes=3)
    assert model(random_images(2, *image_shape)).shape == (2, 3)


def test_saves_and_loads_with_the_same_outputs(tmp_path):
    model = build(INDEX_11)
    x = random_images(4, 8, 8, 3)
    model(x, training=True)  # moves the averages
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_low_and_answers_in_float32(policy):
    x = random_images(4, 8, 8, 3)
    reference = build(MIXED)
    keras.config.set_dtype_policy(policy)
    try:
        model = build(MIXED)
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(reference.get_weights())
    assert model.layers[2].compute_dtype == policy.removeprefix("mixed_")
    assert model(x).dtype == "float32"
    np.testing.assert_allclose(model(x, training=True), reference(x, training=True), atol=0.1)


def test_refuses_a_genotype_of_another_space():
    space = nas_bench_201(4, 1)
    with pytest.raises(UserError, match="darts"):
        build_final_network(space, Genotype("darts", ()), (8, 8, 3), 10)
