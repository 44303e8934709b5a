"""Drop path of edges: masks of an image, an edge and a seed, against NumPy with the masks that were drawn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from edge_cells import built, kernels, scalars, values
from numpy_supernet import EDGES, cell

from tf_edd.edges import AuxiliarySkip, EdgeDropPath, PartialChannels
from tf_edd.errors import UserError
from tf_edd.networks.moment import Moment
from tf_edd.networks.stateless import SharedTraces
from tf_edd.spaces import CellSpec, Edge, nas_bench_201

PROBS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)


def moment(progress, seed=(1, 2)):
    return Moment(tf.constant(progress, tf.float32), None if seed is None else tf.constant(seed))


def drawn(count, progress, *, edges=2, seed=(1, 2), rate=0.4):
    """The masks of so many images, [edges, count]: what edges of skip connections make of ones."""
    spec = CellSpec(
        "fan", 1, 1 + edges, tuple(Edge(0, e + 1, ("skip_connect", "none")) for e in range(edges)), "concat"
    )
    layer = built(spec, [(count, 1, 1, 4)], EdgeDropPath(rate))
    nodes = layer.call([tf.ones([count, 1, 1, 4])], scalars([[1, 0]] * edges), moment=moment(progress, seed))
    return np.reshape(nodes, [count, edges, 4])[..., 0].T


def test_masks_are_those_of_a_bernoulli_variable_that_is_scaled():
    masks = drawn(4000, 0.5)  # q = 0.2
    assert set(np.unique(masks.round(5))) == {0, 1.25}
    assert abs(masks.mean() - 1) < 4 * 0.5 / np.sqrt(masks.size)  # the deviation of one mask is sqrt(q / (1 - q)) = 0.5
    assert abs(np.corrcoef(masks)[0, 1]) < 0.08  # edges draw by themselves


def test_masks_come_from_seed_and_progress():
    masks = drawn(64, 0.9)
    np.testing.assert_array_equal(masks, drawn(64, 0.9))
    assert not np.array_equal(masks, drawn(64, 0.9, seed=(1, 3)))
    np.testing.assert_array_equal(drawn(64, 0.0), np.ones((2, 64)))
    np.testing.assert_array_equal(drawn(64, 0.9, seed=None), np.ones((2, 64)))  # evaluation and teachers
    assert EdgeDropPath(0.6).metrics(0.5) == {"arch/drop_path": pytest.approx(0.3)}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_whole_edges_are_dropped_image_by_image(shared, groups):
    x = values(16, 6, 6, 4)
    settings = {"traces": SharedTraces()} if shared else {}
    inner = () if groups == 1 else (PartialChannels(groups),)
    layer = built(nas_bench_201(4, 1).cells[0], [x.shape], *inner, EdgeDropPath(0.5), **settings)
    at = moment(1.0)
    masks = [edge.signals(at.within(e), tf.constant(x))["drop_path"].numpy() for e, edge in enumerate(layer.mixed_ops)]
    assert len(masks) == len(EDGES) and 0.3 < np.mean(np.concatenate(masks) > 0) < 0.7
    result = layer.call([tf.constant(x)], scalars(PROBS), training=True, moment=at)
    expected = cell(x.astype(np.float64), PROBS, kernels(layer), groups, masks=masks)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_edges_that_are_run_again_draw_what_they_drew(shared):
    """All parts at once: the gradients of input and variables are those of edges that keep their activations."""
    x, results = tf.constant(values(8, 6, 6, 4)), []
    for rematerialize in (False, True):
        keras.utils.set_random_seed(3)
        settings = {"traces": SharedTraces() if shared else None, "rematerialize": rematerialize}
        parts = PartialChannels(2), AuxiliarySkip(), EdgeDropPath(0.5)
        layer = built(nas_bench_201(4, 1).cells[0], [x.shape], *parts, **settings)
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([x, *variables])
            result = layer.call([x], scalars(PROBS), training=True, moment=moment(0.5))
            total = tf.reduce_sum(result * values(8, 6, 6, 4, seed=7))
        results.append([result, *tape.gradient(total, [x, *variables])])
    for kept, again in zip(*results, strict=True):
        np.testing.assert_allclose(again, kept, rtol=1e-4, atol=1e-4)


def test_bad_probabilities_are_refused():
    with pytest.raises(UserError, match=r"probability must lie in \[0, 1\). Received: probability=1"):
        EdgeDropPath(1)
