"""Partial channels against the released formulas in float64 NumPy: edge by edge there, node by node here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from edge_cells import built, kernels, scalars, values
from numpy_supernet import cell, convolve, forward, normalize, pool_3x3, relu, shuffle

from tf_edd.analysis.counting import count_supernet
from tf_edd.edges import PartialChannels
from tf_edd.edges.partial_channels import shuffled
from tf_edd.errors import UserError
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.spaces import CellSpec, Edge, darts, darts_imagenet, nas_bench_201, proxyless

PROBS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)
PROBS *= np.float64([1, 0.7, 0.3, 0.5, 0.2, 0.3])[:, None]  # with edge weights


def test_shuffle_is_the_released_one():
    x = values(2, 3, 3, 12)
    for groups in (2, 3, 4):
        np.testing.assert_array_equal(shuffled(tf.constant(x), groups), shuffle(x, groups))
    np.testing.assert_array_equal(shuffled(tf.range(6)[None, None, None], 2)[0, 0, 0], [0, 3, 1, 4, 2, 5])


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("shared", [False, True])
def test_a_cell_equals_numpy(groups, shared):
    x, settings = values(4, 6, 6, 8), {"traces": SharedTraces()} if shared else {}
    layer = built(nas_bench_201(8, 1).cells[0], [x.shape], PartialChannels(groups), channels=8, **settings)
    assert layer.trainable_variables[0].shape == (1, 1, 8 // groups, 8 // groups)
    expected = cell(x.astype(np.float64), PROBS, kernels(layer), groups)
    for unused in (None, Unused()):
        result = layer.call([tf.constant(x)], scalars(PROBS), training=True, unused=unused)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_edges_of_stride_2_pool_the_bypass():
    x, row = values(4, 6, 6, 8), np.float32([0.1, 0.2, 0.3])
    edges = (Edge(0, 1, ("none", "avg_pool_3x3", "nor_conv_3x3"), stride=2),)
    layer = built(CellSpec("reduce", 1, 2, edges, pool_norm=True), [x.shape], PartialChannels(4), channels=8)
    first, rest = x[..., :2], x[..., 2:]
    pooled = normalize(pool_3x3(first)[:, ::2, ::2])
    mixture = row[1] * pooled + row[2] * normalize(convolve(relu(first), next(kernels(layer)), stride=2))
    bypass = np.max([rest[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)
    expected = shuffle(np.concatenate([mixture, row.sum() * bypass], axis=-1), 4)
    np.testing.assert_allclose(layer.call([tf.constant(x)], scalars([row])), expected, rtol=1e-4, atol=1e-5)
    one = np.float32([[0, 1, 0]])
    single = layer.call([tf.constant(x)], scalars(one), single_path=True)
    np.testing.assert_allclose(single, shuffle(np.concatenate([pooled, bypass], -1), 4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_a_discretized_cell_runs_one_candidate_and_drops_edges(shared):
    x, settings = values(4, 6, 6, 8), {"single_traces": SharedTraces()} if shared else {}
    layer = built(nas_bench_201(8, 1).cells[0], [x.shape], PartialChannels(4), channels=8, **settings)
    chosen = np.eye(5)[[3, 1, 4, 2, 3, 0]] * np.float64([1, 1, 0, 1, 1, 1])[:, None]  # the third edge is dropped
    result = layer.call([tf.constant(x)], scalars(chosen), single_path=True)
    np.testing.assert_allclose(result, cell(x.astype(np.float64), chosen, kernels(layer), 4), rtol=1e-4, atol=1e-4)


def test_supernet_and_its_gradient_equal_numpy():
    keras.utils.set_random_seed(2)
    supernet = Supernet(nas_bench_201(8, 1), 3, make_edge=edge_factory((PartialChannels(4),)))
    images, probs = values(4, 8, 8, 3), tf.constant(PROBS, tf.float32)
    supernet.build(images.shape)
    weights = [variable.numpy() for variable in supernet.trainable_variables]
    direction = values(6, 5, seed=4)
    with tf.GradientTape() as tape:
        tape.watch(probs)
        outputs = supernet(images, {"cell": probs}, training=True)
        total = tf.reduce_sum(outputs * values(4, 3, seed=5))
    slope = np.sum(tape.gradient(total, probs) * direction)

    def numpy_total(step):
        return np.sum(forward(images, PROBS + step * direction, weights, groups=4) * values(4, 3, seed=5))

    np.testing.assert_allclose(outputs, forward(images, PROBS, weights, groups=4), rtol=1e-3, atol=1e-4)
    expected = (numpy_total(1e-5) - numpy_total(-1e-5)) / 2e-5
    assert slope == pytest.approx(expected, rel=1e-3)


def test_residual_cells_add_their_input_after_the_shuffle():
    x = values(2, 4, 4, 4)
    spec = CellSpec("block", 1, 2, (Edge(0, 1, ("skip_connect", "none")),), residual=True)
    layer = built(spec, [x.shape], PartialChannels(2))
    result = layer.call([tf.constant(x)], scalars([[0.25, 0.75]]))
    half = np.concatenate([0.25 * x[..., :2], x[..., 2:]], axis=-1)
    np.testing.assert_allclose(result, shuffle(half, 2) + x, rtol=1e-6)


def test_parameters_are_the_published_ones():
    """On CIFAR-10 by arithmetic on the released layers; on ImageNet a log in issue 15 of yuhuixu1993/PC-DARTS."""
    sizes = (
        (darts(), (32, 32, 3), 10, 4, 299_578),
        (darts_imagenet(16, 8, stem="search"), (224, 224, 3), 1000, 2, 956_512),
    )
    for space, shape, classes, groups, expected in sizes:
        assert count_supernet(space, shape, classes, edges=(PartialChannels(groups),)).parameters == expected
    small = darts(4, 3, 2)
    supernet = Supernet(small, 5, make_edge=edge_factory((PartialChannels(2),)))
    supernet.build((None, 8, 8, 3))
    assert supernet.count_params() == count_supernet(small, (8, 8, 3), 5, edges=(PartialChannels(2),)).parameters


def test_what_it_cannot_take_is_refused():
    with pytest.raises(UserError, match="groups must be an integer of at least 2. Received: groups=1"):
        PartialChannels(1)
    with pytest.raises(UserError, match="channels are a multiple of 4. Received: 6 channels in space 'nas_bench_201'"):
        PartialChannels().check(nas_bench_201(6, 1))
    with pytest.raises(UserError, match="edges that keep the number of their channels. Received: space 'proxyless'"):
        PartialChannels(2).check(proxyless())
    PartialChannels().check(darts(4, 3, 2))
