"""One candidate an edge, and the gradient of the weights: against GDAS' released forward pass in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import forward, single_path_cell

from tf_edd.networks import supernet as supernet_module
from tf_edd.networks.single_path import weighted_single
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.spaces import darts, nas_bench_201

RNG = np.random.default_rng(0)
IMAGES, UPSTREAM = RNG.normal(size=(4, 8, 8, 3)).astype(np.float32), RNG.normal(size=(4, 3))
CHOSEN = [3, 1, 2, 4, 0, 3]
TABLE = np.eye(5)[CHOSEN]


def build(space=None, **settings):
    keras.utils.set_random_seed(1)
    supernet = Supernet(space or nas_bench_201(4, 1), 3, **settings)
    supernet.build((None, 8, 8, 3))
    return supernet


def slopes(supernet, tables=None, **options):
    """Outputs, and the gradients of the probabilities and, unless these are fixed, of the variables."""
    tables = {name: tf.constant(table, tf.float32) for name, table in (tables or {"cell": TABLE}).items()}

    @tf.function
    def run(tables):
        sources = [tables]
        if not options.get("fixed_weights"):
            sources.append([variable.value for variable in supernet.trainable_variables])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            outputs = supernet(IMAGES, tables, training=True, **options)
            loss = tf.reduce_sum(outputs * UPSTREAM)
        return outputs, tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    outputs, found = run(tables)
    return outputs.numpy(), *tf.nest.map_structure(np.asarray, found)


def single(supernet, tables=None, **options):
    return slopes(supernet, tables, single_path=True, path_gradient=True, **options)


def test_an_edge_by_hand():
    output, upstream = RNG.normal(size=(2, 2, 3, 3, 2)).astype(np.float32)
    for row, own in (([0, 0, 1], [False, False, True]), ([0, 0, 0], [False] * 3)):
        with tf.GradientTape() as tape:
            values = tf.constant(output), tf.constant(row, tf.float32)
            tape.watch(values)
            result = weighted_single(*values)
        np.testing.assert_array_equal(result, output)
        by_output, by_row = tape.gradient(result, values, tf.constant(upstream))
        np.testing.assert_array_equal(by_output, upstream)
        expected = np.where(own, np.sum(upstream * output), np.sum(upstream))
        np.testing.assert_allclose(by_row, expected, rtol=1e-4)


def test_second_derivatives_are_those_of_a_product_and_a_sum():
    """For `SecondOrder`: y = h_i o + sum of the other h, of which the released code takes first derivatives alone."""

    def plain(output, row):
        own = tf.constant([0.0, 1.0, 0.0])
        return output * tf.reduce_sum(row * own) + tf.reduce_sum(row * (1 - own))

    def second(edge):
        output, row = tf.constant(IMAGES), tf.constant([0.0, 1.0, 0.0])
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([output, row])
            with tf.GradientTape() as inner:
                inner.watch([output, row])
                loss = tf.reduce_sum(edge(output, row) ** 3)
            by_output, by_row = inner.gradient(loss, [output, row])
            scalars = tf.reduce_sum(by_output * output**2), tf.reduce_sum(by_row * [1.0, 2.0, 3.0])
        return [each for scalar in scalars for each in outer.gradient(scalar, [output, row])]

    for found, expected in zip(second(weighted_single), second(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_outputs_and_gradients_of_the_probabilities_are_those_of_the_released_forward_pass():
    """Central differences of the released pass, in which candidates that are not run count as numbers."""
    supernet = build()
    outputs, by_tables, _ = single(supernet)
    weights = [variable.numpy() for variable in supernet.trainable_variables]

    def loss(table):
        return np.sum(forward(IMAGES, table, weights, cell=single_path_cell) * UPSTREAM)

    np.testing.assert_allclose(outputs, forward(IMAGES, TABLE, weights), rtol=1e-4, atol=1e-4)
    expected = np.zeros((6, 5))
    for place in np.ndindex(6, 5):
        step = np.zeros((6, 5))
        step[place] = 1e-7  # below the distance to the kinks of the ReLU
        expected[place] = (loss(TABLE + step) - loss(TABLE - step)) / 2e-7
    assert np.abs(expected).min(1).max() > 1e-3  # of edges whose candidates that are not run have a gradient
    np.testing.assert_allclose(by_tables["cell"], expected, rtol=1e-3, atol=2e-5)


def test_candidates_that_are_not_chosen_are_not_run_and_have_no_gradient():
    """Running them would poison even 0 times what they return; so would their backward pass."""
    supernet = build()
    for _, edge, position, operation in supernet.candidates():
        if position != CHOSEN[edge]:
            for variable in operation.trainable_variables:
                variable.assign(np.full(variable.shape, np.nan))
    for fixed_weights in (False, True):
        outputs, by_tables, *rest = single(supernet, fixed_weights=fixed_weights)
        assert np.isfinite(outputs).all() and np.isfinite(by_tables["cell"]).all()
    by_variables = {id(v): slope for v, slope in zip(supernet.trainable_variables, single(supernet)[2], strict=True)}
    for _, edge, position, operation in supernet.candidates():
        for variable in operation.trainable_variables:
            assert np.any(by_variables[id(variable)]) == (position == CHOSEN[edge])
            assert np.isfinite(by_variables[id(variable)]).all()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"running_statistics": True}, {"rematerialize": True}], ids=repr)
def test_fixed_weights_change_no_gradient_of_the_probabilities(settings):
    outputs, by_tables, _ = single(build(**settings))
    fixed_outputs, fixed, *nothing = single(build(**settings), fixed_weights=True)
    assert nothing == []
    np.testing.assert_allclose(fixed_outputs, outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fixed["cell"], by_tables["cell"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, options",
    [
        ("darts", {}),
        ("nas_bench_201", {}),
        ("nas_bench_201", {"rematerialize": True}),
        ("nas_bench_201", {"unused": Unused()}),
    ],
)
def test_running_all_candidates_as_several_replicas_do_gives_the_same(monkeypatch, name, options):
    space = nas_bench_201(4, 1) if name == "nas_bench_201" else darts(4, 3, 2)
    settings = {key: options[key] for key in options if key == "rematerialize"}
    others = {key: options[key] for key in options if key == "unused"}
    rng = np.random.default_rng(2)
    tables = {cell_type: np.eye(o)[rng.integers(0, o, e)] for cell_type, (e, o) in space.logit_shapes.items()}
    expected = single(build(space), tables)
    with monkeypatch.context() as patch:
        patch.setattr(supernet_module, "replicas", lambda: 2)
        found = single(build(space, **settings), tables, **others)
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * max(1, np.abs(other).max()))
