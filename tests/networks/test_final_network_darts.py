"""Final networks of the DARTS space: sizes, auxiliary head, drop path, agreement with the supernet, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import Genotype, load
from tf_edd.errors import UserError
from tf_edd.networks.final_network import FinalCell, build_final_network, inference_model, set_drop_path
from tf_edd.networks.supernet import Supernet
from tf_edd.spaces import darts, darts_imagenet, nas_bench_201, s4

SMALL = darts(4, 3, 2)
CELL = (
    (("sep_conv_3x3", 0), ("skip_connect", 1)),
    (("max_pool_3x3", 1), ("dil_conv_5x5", 2)),
)
GENOTYPE = Genotype("darts", (("normal", CELL), ("reduce", CELL)))
IMAGES = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)


def build(image_shape=(32, 32, 3), space=SMALL, genotype=GENOTYPE, **settings):
    keras.utils.set_random_seed(0)
    return build_final_network(space, genotype, image_shape, 5, **settings)


def parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "space", "image_shape", "classes", "expected"),
    [
        ("PC_DARTS_cifar", darts(36, 20), (32, 32, 3), 10, 3_634_678),
        ("DARTS_V2", darts_imagenet(), (224, 224, 3), 1000, 4_718_752),
    ],
)
def test_parameters_of_published_networks(name, space, image_shape, classes, expected):
    assert parameters(build_final_network(space, load(name, space), image_shape, classes)) == expected


@pytest.mark.parametrize("image_shape", [(32, 32, 3), (9, 14, 1), (2, 2, 3)])
def test_parameters_equal_the_count_and_any_image_size_works(image_shape):
    model = build(image_shape)
    assert parameters(model) == count(SMALL, GENOTYPE, image_shape, 5).parameters
    assert model(np.zeros((2, *image_shape), np.float32)).shape == (2, 5)


def test_large_images():
    space = darts_imagenet(4, 3, 2)
    model = build((64, 40, 3), space)
    assert parameters(model) == count(space, GENOTYPE, (64, 40, 3), 5).parameters
    assert [tuple(layer.output.shape[1:3]) for layer in model.layers[1:3]] == [(16, 10), (8, 5)]


@pytest.mark.parametrize(
    ("space", "side", "hidden"), [(SMALL, 32, 2 * 768), (darts_imagenet(4, 3, 2), 224, 0)], ids=["cifar", "imagenet"]
)
def test_auxiliary_head_is_a_second_output_and_not_a_part_of_inference(space, side, hidden):
    model = build((side, side, 3), space, auxiliary=True)
    images = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    logits, auxiliary = model(images)
    assert logits.shape == auxiliary.shape == (2, 5) and logits.dtype == auxiliary.dtype == "float32"
    plain = inference_model(model)
    np.testing.assert_array_equal(plain(images), logits)
    assert parameters(plain) == count(space, GENOTYPE, (side, side, 3), 5).parameters
    width = 4 * 4 * 2  # two reductions, two nodes side by side
    head = width * 128 + 2 * 128 + 4 * 128 * 768 + hidden + 768 * 5 + 5
    assert parameters(model) - parameters(plain) == head
    assert inference_model(plain) is plain


@pytest.mark.parametrize("side", [16, 36])
def test_auxiliary_head_needs_its_maps(side):
    with pytest.raises(UserError, match=f"reads maps of 8x8.*Received: maps of {side // 4}x{side // 4}"):
        build((side, side, 3), auxiliary=True)


def test_refuses_an_auxiliary_head_where_there_is_none():
    space = nas_bench_201(4, 1)
    cell = load("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", space)
    with pytest.raises(UserError, match="nas_bench_201.*no auxiliary head"):
        build_final_network(space, cell, (8, 8, 3), 5, auxiliary=True)


def pools_cell(**settings):
    """Two nodes: pooling and skip connection of both inputs; the inputs as they are."""
    nodes = [[("avg_pool_3x3", 0, 1), ("skip_connect", 1, 1)], [("skip_connect", 0, 1), ("avg_pool_3x3", 2, 1)]]
    return FinalCell(nodes, 2, 2, "concat", **settings)


def test_drop_path_masks_images_scales_the_rest_and_keeps_identities():
    x = tf.ones((4000, 2, 2, 2))
    cell = pools_cell(drop_path=0)
    plain = cell([x, 2 * x], training=True)
    np.testing.assert_array_equal(plain[..., :2], np.full((4000, 2, 2, 2), 3))  # rate 0: nothing
    cell.drop_path.set(0.25, [1, 2])
    np.testing.assert_array_equal(cell([x, 2 * x], training=False), plain)
    dropped = cell([x, 2 * x], training=True).numpy()
    first, second = dropped[:, 0, 0, 0], dropped[:, 0, 0, 2]
    pooled = first - 2  # after the identity of 2
    np.testing.assert_allclose(np.unique(pooled), [0, 4 / 3], rtol=1e-6)
    assert abs((pooled > 0).mean() - 0.75) < 0.03
    masks = (second - 1) / first
    np.testing.assert_allclose(np.unique(masks.round(5)), [0, 1.33333])
    assert abs(np.corrcoef(pooled > 0, masks > 0)[0, 1]) < 0.06  # edges are independent
    assert np.ptp(dropped[..., :2], axis=(1, 2, 3)).max() == 0  # an image is dropped as a whole


def test_drop_path_is_a_function_of_seed_and_cell():
    x = [tf.ones((64, 2, 2, 2))] * 2
    cell, other = pools_cell(drop_path=0), pools_cell(drop_path=1)
    draws = []
    for layer, seed in ((cell, [1, 2]), (cell, [1, 2]), (cell, [1, 3]), (other, [1, 2])):
        layer(x)
        layer.drop_path.set(0.5, seed)
        draws.append(layer(x, training=True).numpy())
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2]) and not np.array_equal(draws[0], draws[3])


def test_factorized_reductions_are_dropped():
    cell = FinalCell([[("skip_connect", 0, 2), ("skip_connect", 1, 2)]], 2, 2, "concat", drop_path=0)
    x = tf.random.stateless_normal((200, 4, 4, 2), [0, 0])
    cell([x, x])
    cell.drop_path.set(0.6, [1, 2])
    zeros = np.all(cell([x, x], training=True).numpy() == 0, axis=(1, 2, 3)).mean()
    assert abs(zeros - 0.36) < 0.1


def test_set_drop_path_reaches_every_cell_inside_a_function():
    model = build(drop_path=True)

    @tf.function
    def step(seed):
        set_drop_path(model, 0.3, seed)
        return model(IMAGES, training=True)

    one, again, other = (step(tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4
    rates = [layer.drop_path.rate.numpy() for layer in model.layers if isinstance(layer, FinalCell)]
    np.testing.assert_allclose(rates, 0.3, rtol=1e-6)
    assert len({tuple(layer.drop_path.seed.numpy()) for layer in model.layers if isinstance(layer, FinalCell)}) == 1
    set_drop_path(build(), 0.3, [1, 2])  # without drop path: left alone


def kernels(layer):
    """What is not the scale or offset of a batch norm."""
    return [variable for variable in layer.trainable_variables if variable.name not in ("gamma", "beta")]


def test_equals_the_supernet_at_one_hot_probabilities():
    """Without pooling, which the supernet alone normalizes. All batch norms start as the supernet's."""
    nodes = ((("sep_conv_5x5", 0), ("skip_connect", 1)), (("dil_conv_3x3", 0), ("skip_connect", 2)))
    genotype = Genotype("darts", (("normal", nodes), ("reduce", nodes)))
    final = build(genotype=genotype)
    supernet = Supernet(SMALL, 5)
    supernet.build((None, 32, 32, 3))
    layers = [layer for layer in final.layers if layer.variables]
    for mixture, layer in zip(supernet.blocks, layers, strict=True):
        sources = [mixture]
        targets = [layer]
        if isinstance(layer, FinalCell):
            spec = mixture.spec
            chosen = genotype.one_hot(SMALL)[spec.cell_type]
            order = [int(row.argmax()) for row in chosen]
            used = [i for i, row in enumerate(chosen) if row.any()]
            sources = [mixture.preprocess, *(mixture.mixed_ops[i].candidates[order[i]] for i in used)]
            targets = [layer.preprocess, *(operation for node in layer.operations for operation in node)]
        for source, target in zip(sources, targets, strict=True):
            for ours, theirs in zip(kernels(target), kernels(source), strict=True):
                ours.assign(theirs)
    probs = {cell_type: tf.constant(table) for cell_type, table in genotype.one_hot(SMALL).items()}
    expected = supernet(IMAGES, probs, training=True)
    np.testing.assert_allclose(final(IMAGES, training=True), expected, rtol=1e-4, atol=1e-4)


def test_saves_and_loads_with_the_same_outputs(tmp_path):
    model = build(drop_path=True, auxiliary=True)
    model(IMAGES, training=True)  # moves the averages
    plain = inference_model(model)
    plain.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), plain(IMAGES))


@pytest.mark.slow
@pytest.mark.parametrize("space", [SMALL, s4(4, 3)], ids=["darts", "s4"])
def test_saved_model_answers(space, tmp_path):
    nodes = {"darts": CELL, "s4": ((("noise", 0), ("sep_conv_3x3", 1)),) * 4}[space.name]
    model = build(space=space, genotype=Genotype(space.name, (("normal", nodes), ("reduce", nodes))))
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    one, two = loaded.serve(IMAGES).numpy(), loaded.serve(IMAGES).numpy()
    assert one.shape == (4, 5) and np.isfinite(one).all()
    if space.name == "darts":
        np.testing.assert_allclose(one, model(IMAGES), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(one, two)
    else:  # noise is noise, in service too
        assert np.abs(one - two).max() > 1e-6
