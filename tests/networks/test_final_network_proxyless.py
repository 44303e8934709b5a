"""Final networks of the mobile space: sizes, agreement with the supernet, blocks that are left out, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import from_text
from tf_edd.networks.final_network import FinalCell, build_final_network, set_drop_path
from tf_edd.networks.supernet import Supernet
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.spaces import proxyless

SMALL = proxyless((4, 6), (2, 3), (1, 2), stem_width=4, stem_stride=1, first_width=4, head_width=8)
GENOTYPE = from_text("mbconv_k3_e3,none,mbconv_k5_e6,mbconv_k7_e3,none", SMALL)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


def build(image_shape=(8, 8, 3), genotype=GENOTYPE, **settings):
    keras.utils.set_random_seed(0)
    return build_final_network(SMALL, genotype, image_shape, 5, **settings)


def parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize("image_shape", [(8, 8, 3), (7, 5, 1), (2, 2, 3)])
def test_parameters_equal_the_count_and_any_image_size_works(image_shape):
    model = build(image_shape)
    assert parameters(model) == count(SMALL, GENOTYPE, image_shape, 5).parameters
    assert model(np.zeros((2, *image_shape), np.float32)).shape == (2, 5)


@pytest.mark.slow
def test_parameters_at_full_size():
    space = proxyless()
    genotype = from_text(",".join(["mbconv_k3_e3"] * 21), space)
    model = build_final_network(space, genotype, (224, 224, 3), 1000)
    assert parameters(model) == 3_191_928  # 3.192 M (methods.md 6.3)
    assert model.layers[-2].output.shape[1:] == (7, 7, 1280)


def test_all_batch_norms_have_the_epsilon_of_the_released_code():
    norms = [layer for layer in build()._flatten_layers() if isinstance(layer, BatchNorm)]
    assert len(norms) == 1 + 2 + 3 * 3 + 1
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-3, 0.9)}


def test_a_block_that_is_left_out_hands_its_input_on():
    model = build()
    cells = [layer for layer in model.layers if isinstance(layer, FinalCell)]
    assert [cell.residual for cell in cells] == [True, True, False, True, True]
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 4, 4, 6)), tf.float32)
    np.testing.assert_array_equal(cells[4]([x], training=True), x)
    assert not cells[4].variables
    bottleneck = cells[3].operations[0][0]
    np.testing.assert_allclose(cells[3]([x]), x + bottleneck(x), rtol=1e-5, atol=1e-6)


def test_drop_path_leaves_the_shortcut():
    model = build(drop_path=True)
    set_drop_path(model, 0.5, [1, 2])
    cell = [layer for layer in model.layers if isinstance(layer, FinalCell)][3]
    x = tf.constant(np.random.default_rng(1).normal(size=(64, 4, 4, 6)), tf.float32)
    moved = np.abs(cell([x], training=True) - x).max((1, 2, 3))
    assert 0.3 < (moved == 0).mean() < 0.7  # where the bottleneck was dropped, the input is left


def kernels(layer):
    """What is not the scale or offset of a batch norm."""
    return [variable for variable in layer.trainable_variables if variable.name not in ("gamma", "beta")]


def test_equals_the_supernet_at_one_hot_probabilities():
    final, supernet = build(), Supernet(SMALL, 5)
    supernet.build((None, 8, 8, 3))
    layers = {layer.name: layer for layer in final.layers}
    for mixture in supernet.blocks:
        source, target = mixture, layers[mixture.name]
        if isinstance(target, FinalCell):
            chosen = int(GENOTYPE.one_hot(SMALL)[mixture.spec.cell_type][0].argmax())
            source = mixture.mixed_ops[0].candidates[chosen]
        for ours, theirs in zip(kernels(target), kernels(source), strict=True):
            ours.assign(theirs)
    probs = {cell_type: tf.constant(table) for cell_type, table in GENOTYPE.one_hot(SMALL).items()}
    assert {cell_type: table.shape for cell_type, table in probs.items()} == SMALL.logit_shapes
    expected = supernet(IMAGES, probs, training=True)
    np.testing.assert_allclose(final(IMAGES, training=True), expected, rtol=1e-4, atol=1e-4)


def test_supernet_follows_the_convention_of_the_others():
    """No scale, offset or averages in the blocks; the fixed parts have scale and offset."""
    supernet = Supernet(SMALL, 5)
    supernet.build((None, 8, 8, 3))
    assert len(supernet.trainable_variables) == len(supernet.variables)
    for block in supernet.blocks:
        scales = [variable for variable in block.variables if variable.name == "gamma"]
        assert len(scales) == {"mobile_stem": 1, "mobile_first": 2, "mobile_head": 1}.get(block.name[:-2], 0), (
            block.name
        )
    uniform = {cell_type: tf.fill(shape, 1 / shape[1]) for cell_type, shape in SMALL.logit_shapes.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(uniform.values()))
        outputs = supernet(IMAGES, uniform, training=True)
        loss = tf.reduce_sum(outputs**2)
    slopes = tape.gradient(loss, uniform)
    for cell_type, slope in slopes.items():
        operations = SMALL.cell(cell_type).edges[0].primitives
        assert all((value == 0) == (name == "none") for name, value in zip(operations, slope.numpy()[0], strict=True))
    np.testing.assert_array_equal(outputs, supernet(IMAGES, uniform))


def test_saves_and_loads_with_the_same_outputs(tmp_path):
    model = build(drop_path=True)
    model(IMAGES, training=True)  # moves the averages
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.slow
def test_saved_model_answers(tmp_path):
    model = build()
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.serve(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-5)
