"""Shared traces and rematerialized edges: the same numbers as a plain supernet, one trace per shape, one update."""

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_search import two_stages

from tf_edd import spaces
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import SHARED_FROM, Supernet, count_edges
from tf_edd.networks.unused import Unused
from tf_edd.spaces import CellSpec, Edge, Space

CLASSES = 3
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


def noisy_space() -> Space:
    """The skeleton of the DARTS space with few candidates, noise among them."""
    cells = []
    for spec in spaces.darts(4, 3, 2).cells:
        edges = [
            Edge(e.source, e.target, ("noise", "sep_conv_3x3", "max_pool_3x3", "skip_connect"), e.stride)
            for e in spec.edges
        ]
        cells.append(CellSpec(spec.cell_type, 2, 4, tuple(edges), "concat", 2, (), True, True))
    return Space("noisy", tuple(cells), spaces.darts(4, 3, 2).blocks)


SPACES = {
    "nas_bench_201": two_stages(spaces.nas_bench_201(4, 1)),
    "darts": spaces.darts(4, 3, 1),
    "noisy": noisy_space(),
}


def build(space, shared=True, **settings):
    keras.utils.set_random_seed(0)
    supernet = Supernet(space, CLASSES, **settings)
    traces = SharedTraces() if shared else None
    for layer in supernet.blocks:
        if isinstance(layer, SearchCell):
            layer.traces = traces
    supernet.build((None, *IMAGES.shape[1:]))
    return supernet


def mixture(space):
    rng = np.random.default_rng(1)
    return {k: tf.constant(rng.dirichlet(np.ones(o), size=e), tf.float32) for k, (e, o) in space.logit_shapes.items()}


def cell(space):
    """One candidate of each edge but the last."""
    rng = np.random.default_rng(2)
    tables = {cell_type: np.eye(o)[rng.integers(0, o, e)] for cell_type, (e, o) in space.logit_shapes.items()}
    for table in tables.values():
        table[-1] = 0
    return {cell_type: tf.constant(table, tf.float32) for cell_type, table in tables.items()}


def run(supernet, steps=2, probs=None, **options):
    """Outputs and gradients of the last of some training steps in a function, and the state after them."""
    weights = [variable.value for variable in supernet.trainable_variables]

    @tf.function
    def step(probs):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weights, probs])
            outputs = supernet(IMAGES, probs, training=True, **options)
            loss = tf.reduce_sum(outputs**2)
        arguments = [*weights, *probs.values()]
        slopes = tape.gradient(loss, arguments, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [outputs, *slopes]

    probs = probs or mixture(supernet.space)
    for _ in range(steps):
        results = step(probs)
    return [result.numpy() for result in results], [v.numpy() for v in supernet.non_trainable_variables]


def assert_close(results, expected, tolerance):
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max()))


@pytest.mark.slow
@pytest.mark.parametrize("name, running", [*product(("nas_bench_201", "noisy"), (False, True)), ("darts", False)])
def test_shared_and_rematerialized_equal_plain(name, running):
    space = SPACES[name]
    results, state = run(build(space, shared=False, running_statistics=running))
    assert bool(state) == (running or name == "noisy")
    for settings in ({}, {"rematerialize": True}):
        received, kept = run(build(space, running_statistics=running, **settings))
        assert_close(received, results, 1e-5)
        assert_close(kept, state, 1e-5)  # assigned once per step, though rematerialized edges run twice


def test_only_supernets_of_many_edges_share():
    """Sharing changes the order in which gradients are added, and with it their last digits."""
    assert count_edges(spaces.nas_bench_201()) == 90 < SHARED_FROM <= 112 == count_edges(spaces.darts())
    assert {layer.traces for layer in Supernet(SPACES["darts"], 2).blocks if isinstance(layer, SearchCell)} == {None}


@pytest.mark.slow
def test_skipping_unused_operations_with_rematerialization():
    space = SPACES["nas_bench_201"]
    expected, _ = run(build(space, shared=False), unused=Unused())
    assert_close(run(build(space, rematerialize=True), unused=Unused())[0], expected, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name, running", [("nas_bench_201", False), ("nas_bench_201", True), ("darts", False)])
def test_single_candidates_give_the_same_weights_gradients(name, running):
    space = SPACES[name]
    expected, _ = run(build(space, shared=False, running_statistics=running), probs=cell(space))
    results, _ = run(build(space, running_statistics=running), probs=cell(space), single_path=True)
    cell_types = len(
        space.cells
    )  # the gradients of the probabilities come last, and are those of the chosen ones alone
    assert_close(results[:-cell_types], expected[:-cell_types], 1e-5)
    assert sum(not np.any(slope) for slope in results[1:-cell_types]) >= 5


def test_only_the_single_candidate_is_run():
    supernet = build(SPACES["darts"])
    for cell_type, edge, position, operation in supernet.candidates():
        if not cell(supernet.space)[cell_type][edge, position]:
            for variable in operation.trainable_variables:
                variable.assign(np.full(variable.shape, np.nan))
    assert np.isfinite(supernet(IMAGES, cell(supernet.space), training=True, single_path=True)).all()


@pytest.mark.parametrize("options", [{"single_path": True}, {"unused": Unused()}])
def test_edges_that_differ_in_the_size_of_their_maps_alone_share_no_function(options):
    space = spaces.proxyless((8, 8), (1, 2), (1, 2), stem_width=8, stem_stride=1, first_width=8, head_width=16)
    assert space.cells[0].edges == space.cells[2].edges
    probs = {cell_type: tf.one_hot([place], o) for place, (cell_type, (_, o)) in enumerate(space.logit_shapes.items())}
    expected = build(space, shared=False)(IMAGES, probs, training=True)
    results = build(space)(IMAGES, probs, training=True, **options)
    np.testing.assert_allclose(results, expected, rtol=1e-4, atol=1e-5)


def test_edges_of_one_shape_are_traced_once():
    supernet = build(spaces.nas_bench_201(4, 1))
    run(supernet)
    (traces,) = {layer.traces for layer in supernet.blocks if isinstance(layer, SearchCell)}
    # 3 cells of 6 edges, of 3 numbers of channels.
    assert [f.experimental_get_tracing_count() for f in traces._functions.values()] == [1, 1, 1]


def test_evaluation_does_not_rematerialize_and_agrees():
    space = SPACES["nas_bench_201"]
    probs = mixture(space)
    one, other = (build(space, rematerialize=flag)(IMAGES, probs, training=False) for flag in (True, False))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_fixed_weights_change_no_gradient_of_the_probabilities(shared, rematerialize):
    space = SPACES["noisy"]

    def slopes(fixed_weights):
        supernet, probs = build(space, shared, rematerialize=rematerialize), mixture(space)
        weights = [variable.value for variable in supernet.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weights, probs])
            loss = tf.reduce_sum(supernet(IMAGES, probs, training=True, fixed_weights=fixed_weights) ** 2)
        found, of_weights = tape.gradient(loss, [probs, weights])
        return [slope.numpy() for slope in found.values()], sum(slope is not None for slope in of_weights)

    (expected, every), (received, left) = slopes(False), slopes(True)
    assert_close(received, expected, 1e-5)
    assert left < every if shared or rematerialize else left == every  # elsewhere TensorFlow leaves them out by itself
