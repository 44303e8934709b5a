"""Candidates of negligible weight: the same gradients for less work, and exactly those below the threshold."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import convolve, normalize, pool_3x3, relu

from tf_edd.networks import supernet as supernet_module
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.mixed_op import MixedOp
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import NEGLIGIBLE, Unused
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.spaces import CellSpec, Edge
from tf_edd.spaces.nas_bench_201 import PRIMITIVES, nas_bench_201

RNG = np.random.default_rng(0)
X, UPSTREAM = RNG.normal(size=(2, 4, 6, 5, 3)).astype(np.float32)
NORM = {"affine": False, "running_statistics": False}
FORWARD = Unused(forward=True)


def build(norm=NORM, **settings):
    mixed = MixedOp(PRIMITIVES, 3, norm=norm, **settings)
    mixed.build(X.shape)
    return mixed


def passing(mixed, unused):
    """Weights -> terms of an edge, and the gradients of x, of the weights and of the variables; traced once."""

    @tf.function
    def run(x, weights):
        with tf.GradientTape() as tape:
            tape.watch([x, weights])
            features = {name: PREPARATIONS[name](x) for name in mixed.preparations}
            terms = mixed.call(features, tf.unstack(weights), training=True, unused=unused)
            loss = tf.reduce_sum(tf.add_n(terms) * UPSTREAM)
        sources = [x, weights, [variable.value for variable in mixed.trainable_variables]]
        return terms, *tape.gradient(loss, sources)

    return lambda weights: run(tf.constant(X), tf.constant(weights, tf.float32))


def outputs(mixed):
    """What the candidates but `none` return, in NumPy."""
    small, large = (variable.numpy() for variable in mixed.trainable_variables)
    return [X, normalize(convolve(relu(X), small)), normalize(convolve(relu(X), large)), pool_3x3(X)]


def test_the_gradient_of_a_weight_is_an_inner_product_with_the_output():
    mixed = build()
    edge = passing(mixed, FORWARD)
    expected = [0, *(np.sum(output * UPSTREAM, dtype=np.float64) for output in outputs(mixed))]
    for weights in ([0, 0, 1, 0, 0], [0.3, 1e-12, 0.3, 1e-10, 0.4], [0.2] * 5, [0.1, 0.9, 0, 0, 0]):
        _, _, by_weights, by_variables = edge(weights)
        np.testing.assert_allclose(by_weights, expected, rtol=1e-4, atol=1e-4)
        assert by_variables == [None, None]  # nobody asks for them in such a pass


@pytest.mark.parametrize("unused", [Unused(), FORWARD])
def test_terms_at_the_threshold_are_zeros_and_those_above_count(unused):
    limit = np.float32(1e-3)
    weights = np.float32([0, limit, np.nextafter(limit, np.float32(1)), 2e-4, 0.9])
    mixed = build()
    terms = passing(mixed, unused._replace(negligible=1e-3))(weights)[0]
    for term, weight, output in zip(terms, weights[1:], outputs(mixed), strict=True):
        np.testing.assert_allclose(term, output * (weight if weight > limit else 0), rtol=1e-4, atol=1e-6)
        assert np.any(term) == (weight > limit)


class Poisoned:
    """In place of a candidate's `call`: the same output, and NaN as the gradient of the input."""

    def __init__(self, op):
        self._call = op.call

    def __call__(self, x, scale=None, training=False):
        output = self._call(x, scale, training)

        @tf.custom_gradient
        def passed(x, value):
            return tf.identity(value), lambda upstream: (tf.fill(tf.shape(x), np.nan), upstream)

        return passed(x, output)


@pytest.mark.parametrize("place", [1, 3])
def test_what_is_left_out_is_not_run_backward(place):
    mixed, weights = build(), np.full(5, 0.25)
    mixed.candidates[place].call = Poisoned(mixed.candidates[place])
    edge = passing(mixed, FORWARD)
    for weight, poisoned in ((NEGLIGIBLE, False), (2 * NEGLIGIBLE, True)):
        weights[place] = weight
        _, by_x, by_weights, _ = edge(weights)
        assert np.isnan(by_x).any() == poisoned
        expected = np.sum(outputs(mixed)[place - 1] * UPSTREAM, dtype=np.float64)
        np.testing.assert_allclose(by_weights[place], expected, rtol=1e-3)


@pytest.mark.parametrize("forward", [False, True])
def test_moving_averages_rest_only_in_what_is_not_run(forward):
    mixed = build({"affine": False, "running_statistics": True})
    passing(mixed, Unused(forward=forward))([0, 0, 0, 1, 0])
    small, large = (mixed.candidates[place].norm.moving_mean.numpy() for place in (2, 3))
    assert np.any(large) and np.any(small) == forward
    if forward:
        mean = convolve(relu(X), mixed.candidates[2].kernel.numpy()).mean((0, 1, 2))
        np.testing.assert_allclose(small, 0.1 * mean, rtol=1e-4)


@pytest.fixture(scope="module")
def passes():
    """Four passes of a cell: with and without all candidates, for the gradients of variables and of probabilities."""
    edges = tuple(Edge(source, target, PRIMITIVES) for source, target in ((0, 1), (0, 2), (1, 2)))
    cell = SearchCell(CellSpec("cell", 1, 3, edges), 3, NORM)
    cell.build([X.shape])

    def make(unused, of_weights):
        @tf.function
        def run(probs):
            sources = probs if of_weights else [variable.value for variable in cell.trainable_variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                weights = [tf.unstack(row) for row in tf.unstack(probs)]
                result = cell.call([tf.constant(X)], weights, training=True, unused=unused)
                loss = tf.reduce_sum(result * UPSTREAM)
            return result, tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return run

    return {
        "variables": (make(None, False), make(Unused(), False)),
        "probabilities": (make(None, True), make(FORWARD, True)),
    }


def one_hot_like():
    """The tail of a softmax at a small temperature: probabilities down to 1e-39 beside 1."""
    logits = RNG.normal(size=(3, 5)) * 30
    return np.exp(logits - logits.max(1, keepdims=True))


def mixed_table():
    table = RNG.dirichlet(np.ones(5), size=3)
    table[RNG.random((3, 5)) < 0.4] *= 1e-11
    return table


@pytest.mark.parametrize("of", ["variables", "probabilities"])
@pytest.mark.parametrize(
    "table", [one_hot_like(), mixed_table(), np.full((3, 5), 0.2)], ids=["one_hot", "mixed", "equal"]
)
def test_gradients_equal_those_of_a_pass_that_runs_all(passes, of, table):
    (expected, all_slopes), (result, found) = (run(tf.constant(table, tf.float32)) for run in passes[of])
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(all_slopes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * max(1, np.abs(other).max()))


def test_several_replicas_run_all_candidates(monkeypatch):
    supernet = Supernet(nas_bench_201(4, 1), 3)
    supernet.build((None, 8, 8, 3))
    for _, _, _, operation in supernet.candidates():
        for variable in operation.trainable_variables:
            variable.assign(np.full(variable.shape, np.nan))  # running it would poison even 0 times it
    images, probs = RNG.normal(size=(4, 8, 8, 3)), {"cell": np.eye(5, dtype=np.float32)[[1] * 6]}
    assert np.isfinite(supernet(images, probs, training=True, unused=Unused())).all()
    monkeypatch.setattr(supernet_module, "replicas", lambda: 2)
    assert np.isnan(supernet(images, probs, training=True, unused=Unused())).all()


class Counted:
    """In place of a candidate's `call`: counts in a variable how often it runs."""

    def __init__(self, op):
        self._call, self.runs = op.call, tf.Variable(0)

    def __call__(self, x, scale=None, training=False):
        with tf.control_dependencies([self.runs.assign_add(1)]):
            return self._call(x, scale, training)


@pytest.mark.parametrize("forward", [False, True])
def test_a_closed_candidate_does_not_run_at_all_and_one_of_weight_zero_as_before(forward):
    """A mask's zero is -0.0; +0.0 is a weight that has underflowed, whose gradient the logits want."""
    mixed = build()
    counted = mixed.candidates[3].call = Counted(mixed.candidates[3])
    edge = passing(mixed, Unused(0.0, forward, masked=True))
    expected = np.sum(outputs(mixed)[2] * UPSTREAM, dtype=np.float64)
    for zero, runs, slope in ((-0.0, 0, 0.0), (0.0, int(forward), expected if forward else 0.0)):
        counted.runs.assign(0)
        terms, by_x, by_weights, by_variables = edge([0.25, 0.25, 0.25, zero, 0.25])
        assert counted.runs.numpy() == runs and not np.any(terms[2])
        assert np.isfinite(by_x).all() and np.any(by_x)
        if forward:
            np.testing.assert_allclose(by_weights[3], slope, rtol=1e-4)
        else:
            assert not np.any(by_variables[1]) and np.any(by_variables[0])


@pytest.mark.parametrize("forward", [False, True])
def test_a_mask_changes_nothing_of_what_is_not_closed(forward):
    table = [0.1, 1e-12, 0.3, 0.0, 0.6]
    plain, under_mask = (passing(build_once(), Unused(0.0, forward, masked=masked))(table) for masked in (False, True))
    for one, other in zip(tf.nest.flatten(plain), tf.nest.flatten(under_mask), strict=True):
        np.testing.assert_array_equal(one, other)


def build_once():
    keras.utils.set_random_seed(3)
    return build()


@pytest.mark.parametrize("of_weights", [False, True])
def test_edges_of_one_shape_leave_out_the_same_in_the_function_that_they_share(of_weights):
    edges = tuple(Edge(source, target, PRIMITIVES) for source, target in ((0, 1), (0, 2), (1, 2)))
    unused, found = Unused(0.0, of_weights, masked=True), []
    for traces in (None, SharedTraces()):
        keras.utils.set_random_seed(4)
        cell = SearchCell(CellSpec("cell", 1, 3, edges), 3, NORM, traces=traces)
        cell.build([X.shape])

        @tf.function(autograph=False)
        def run(table, cell=cell):
            sources = table if of_weights else [variable.value for variable in cell.trainable_variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                weights = [tf.unstack(row) for row in tf.unstack(table)]
                result = cell.call([tf.constant(X)], weights, True, unused, fixed_weights=of_weights)
                loss = tf.reduce_sum(result * UPSTREAM)
            return result, tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        found.append(run(tf.constant([[0.2, 0.2, 0.3, 0.3, 0.0], [-0.0, -0.0, 1, -0.0, -0.0], [0, 0.5, -0.0, 0.5, 0]])))
    for one, other in zip(*map(tf.nest.flatten, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert sum(bool(np.any(one)) for one in tf.nest.flatten(found[1])) >= 2  # the others are closed
