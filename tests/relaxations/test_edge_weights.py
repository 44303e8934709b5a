"""Edge weights and what they fold into, against softmax by node and the released genotype rule in float64 NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tf_edd.architectures.logits import ArchLogits, candidate_tables, edge_table, table_shapes
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.relaxations import (
    BoundRelaxation,
    Dirichlet,
    EdgeWeights,
    Relaxation,
    Softmax,
    SparseNoisySoftmax,
    entropy,
    mean_entropy,
)
from tf_edd.spaces import CellSpec, Edge, Space, darts, nas_bench_201

SPACE = darts()
SEED = tf.constant([1, 2])


def tables(scale=1.0, space=SPACE, seed=0):
    rng = np.random.default_rng(seed)
    return {name: scale * rng.normal(size=shape) for name, shape in table_shapes(space, edge_weights=True).items()}


def tensors(values):
    return {name: tf.constant(value, tf.float32) for name, value in values.items()}


def by_node(logits, temperature=1.0):
    """The released loop: two edges of the first node, three of the next, and so on."""
    parts, start = [], 0
    for count in (2, 3, 4, 5):
        parts.append(softmax(logits[start : start + count] / temperature))
        start += count
    return np.concatenate(parts)


def folded(values, temperature=1.0, of_edges=1.0):
    return {
        kind: softmax(values[kind] / temperature, axis=1) * by_node(values[edge_table(kind)], of_edges)[:, None]
        for kind in ("normal", "reduce")
    }


@pytest.mark.parametrize("tempered", [False, True])
def test_weights_fold_into_those_of_the_candidates(tempered):
    values = tables()
    relaxation = BoundRelaxation(Softmax(), EdgeWeights(tempered=tempered), SPACE)
    expected = folded(values, 0.5, 0.5 if tempered else 1.0)
    for result in (relaxation(tensors(values), 0.5, SEED), relaxation.mean(tensors(values), 0.5)):
        assert result.keys() == {"normal", "reduce"}
        for kind, table in result.items():
            np.testing.assert_allclose(table, expected[kind], rtol=1e-5)
            np.testing.assert_allclose(np.sum(table, axis=1), expected[kind].sum(1), rtol=1e-5)  # the edge weights


def test_gradients_of_both_tables_equal_numpy():
    values, rng = tables(), np.random.default_rng(5)
    upstream = {kind: rng.normal(size=(14, 8)) for kind in ("normal", "reduce")}
    inputs = tensors(values)
    relaxation = BoundRelaxation(Softmax(), EdgeWeights(), SPACE)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = relaxation(inputs, 1.0, SEED)
        total = tf.add_n([tf.reduce_sum(result[kind] * tf.constant(upstream[kind], tf.float32)) for kind in result])
    slopes = tape.gradient(total, inputs)
    for name, slope in slopes.items():
        for place in [(0,), (4,), (13,)]:
            place += (3,) * (values[name].ndim - 1)
            totals = []
            for step in (1e-6, -1e-6):
                moved = {other: value.copy() for other, value in values.items()}
                moved[name][place] += step
                totals.append(sum(np.sum(table * upstream[kind]) for kind, table in folded(moved).items()))
            assert slope.numpy()[place] == pytest.approx((totals[0] - totals[1]) / 2e-6, rel=1e-3, abs=1e-5)


def test_the_genotype_is_that_of_the_released_rule():
    """model_search.py, genotype: weights of the candidates times those of the edge, the two best edges of each node."""
    values = tables(2.0, seed=3)
    weights = folded(values)
    genotype = Argmax()(BoundRelaxation(Softmax(), EdgeWeights(), SPACE).mean(tensors(values), 1.0), SPACE)
    names = SPACE.cells[0].edges[0].primitives
    for kind, table in weights.items():
        start = 0
        for node, chosen in enumerate(genotype.nodes(kind)):
            rows = table[start : start + 2 + node, 1:]  # without none
            best = sorted(range(2 + node), key=lambda edge, rows=rows: -rows[edge].max())[:2]
            assert set(chosen) == {(names[1 + rows[edge].argmax()], edge) for edge in best}
            start += 2 + node
    plain = Argmax()({kind: softmax(values[kind], axis=1) for kind in weights}, SPACE)
    assert plain != genotype  # the edge weights decide here


def test_edges_need_not_be_sorted_by_node():
    edges = (Edge(0, 2, ("a", "b")), Edge(0, 1, ("a", "b")), Edge(1, 2, ("a", "b")))
    cell = CellSpec("cell", 1, 3, edges)
    logits = np.log([1.0, 5.0, 3.0])
    np.testing.assert_allclose(EdgeWeights().mean(logits, cell, 1.0), [0.25, 1, 0.75], rtol=1e-6)


def test_the_gradient_of_sn_softmax_reaches_decided_edges():
    logits = tf.constant([3.0, 0.0, 1.0, 2.0, 0.0, 1.0])
    cell, slopes = nas_bench_201().cells[0], []
    for relaxation in (Softmax(), SparseNoisySoftmax()):
        part = EdgeWeights(relaxation, tempered=True)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            weights = part(logits, cell, 1e-3, SEED)
            third = weights[2]
        np.testing.assert_allclose(weights, [1, 0, 1, 1, 0, 0], atol=1e-6)
        slopes.append(np.abs(tape.gradient(third, logits)).max())
    assert slopes[0] == 0 and slopes[1] > 0.1


def test_noise_is_of_the_seed_the_node_and_the_cell_type():
    values = {name: np.zeros_like(value) for name, value in tables().items()}
    relaxation = BoundRelaxation(Softmax(), EdgeWeights(Dirichlet()), SPACE)
    first, again, other = (relaxation(tensors(values), 1.0, seed) for seed in (SEED, SEED, SEED + 1))
    sums = np.sum(first["normal"], axis=1)
    np.testing.assert_array_equal(first["normal"], again["normal"])
    assert not np.allclose(first["normal"], other["normal"]) and not np.allclose(first["normal"], first["reduce"])
    assert not np.allclose(sums[:2] / sums[2:4], sums[0] / sums[2])  # nodes draw by themselves
    np.testing.assert_allclose([sums[:2].sum(), sums[2:5].sum()], 1, rtol=1e-5)


def test_entropy_is_that_of_the_candidates_and_distributions_keep_theirs_to_the_bit():
    values = tables()
    weights = BoundRelaxation(Softmax(), EdgeWeights(), SPACE).mean(tensors(values), 1.0)
    plain = BoundRelaxation(Softmax()).mean(tensors(candidate_tables(values)), 1.0)
    assert float(mean_entropy(weights)) == pytest.approx(float(mean_entropy(plain)), rel=1e-5)
    probs = plain["normal"].numpy()
    np.testing.assert_array_equal(entropy(probs), -tf.reduce_sum(probs * tf.math.log(probs), axis=-1))
    assert float(entropy(tf.zeros([1, 3]))[0]) == 0


def test_tables_of_the_edges_come_after_those_of_the_candidates_and_change_no_draw():
    plain, more = ArchLogits(SPACE, 3), ArchLogits(SPACE, 3, edge_weights=True)
    for cell_type, table in plain.numpy().items():
        np.testing.assert_array_equal(table, more.numpy()[cell_type])
    assert {name: table.shape for name, table in more.numpy().items()} == table_shapes(SPACE, edge_weights=True)
    assert list(more.tensors()) == ["normal", "reduce", "normal/edges", "reduce/edges"]
    assert candidate_tables(more.numpy()).keys() == plain.numpy().keys()
    edges = np.concatenate([more.numpy()[edge_table(kind)] for kind in ("normal", "reduce")])
    assert 5e-4 < edges.std() < 2e-3


class Halves(Relaxation):
    """Rows that are no distributions."""

    def __call__(self, logits, temperature, seed=None):
        return 0.5 * tf.ones_like(logits)

    def mean(self, logits, temperature):
        return self(logits, temperature)


def test_relaxations_without_distributions_are_refused():
    with pytest.raises(UserError, match="rows are distributions. Received: relaxation=.*Halves"):
        EdgeWeights(Halves())


def test_one_trace_whatever_the_temperature():
    relaxation = BoundRelaxation(SparseNoisySoftmax(), EdgeWeights(SparseNoisySoftmax(), tempered=True), SPACE)
    function = tf.function(lambda given, t: relaxation(given, t, SEED))
    results = [function(tensors(tables()), tf.constant(t))["normal"].numpy() for t in (1.0, 0.1)]
    assert function.experimental_get_tracing_count() == 1 and not np.allclose(*results)


def test_a_space_of_one_edge_a_node_has_weights_of_1():
    space = Space("chain", (CellSpec("cell", 1, 3, (Edge(0, 1, ("a", "b")), Edge(1, 2, ("a", "b")))),), ())
    weights = BoundRelaxation(Softmax(), EdgeWeights(), space).mean(tensors(tables(space=space)), 1.0)
    np.testing.assert_allclose(np.sum(weights["cell"], axis=1), 1, rtol=1e-6)
