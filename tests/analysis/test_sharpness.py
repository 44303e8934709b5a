"""Eigenvalue and loss difference against closed forms, NumPy and dense Hessians."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import forward

from tf_edd import spaces
from tf_edd.analysis import sharpness
from tf_edd.errors import UserError
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.relaxations import BoundRelaxation, Softmax
from tf_edd.spaces import Block, CellSpec, Edge, Space

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
LABELS = rng.integers(0, 3, 4).astype(np.int32)
TEMPERATURE = 0.7


def small_darts() -> Space:
    """The skeleton of the DARTS space: both cell types, one node, three candidates."""
    wanted, names = spaces.darts(4, 3, 1), ("skip_connect", "sep_conv_3x3", "max_pool_3x3")
    cells = [
        CellSpec(
            c.cell_type, 2, 3, tuple(Edge(e.source, e.target, names, e.stride) for e in c.edges), "concat", 2, (), True
        )
        for c in wanted.cells
    ]
    return Space("small", tuple(cells), wanted.blocks)


def surface(space, batches=1, **settings):
    keras.utils.set_random_seed(0)
    supernet = Supernet(space, 3, **settings)
    supernet.build((None, 8, 8, 3))
    pairs = [(IMAGES + 0.1 * i, LABELS) for i in range(batches)]
    return supernet, sharpness.LossSurface(supernet, BoundRelaxation(Softmax()).mean, space.logit_shapes, pairs)


def point(size, seed=1):
    return np.random.default_rng(seed).normal(size=size)


@pytest.fixture(scope="module")
def benchmark():
    return surface(spaces.nas_bench_201(4, 1))


def numpy_loss(supernet):
    """L at logits [30] in float64."""
    weights = [variable.numpy() for variable in supernet.trainable_variables]

    def loss(logits):
        exponents = np.exp(logits.reshape(6, 5) / TEMPERATURE)
        outputs = forward(IMAGES, exponents / exponents.sum(1, keepdims=True), weights)
        return np.mean(np.log(np.exp(outputs).sum(1)) - outputs[np.arange(4), LABELS])

    return loss


def test_eigenvalue_of_a_quadratic_form():
    """H = Q diag(d) Q^T; the largest is 2, that of the largest absolute value -3."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(40, 40)))[0]
    values = np.concatenate([[-3.0, 2.0], np.linspace(-1, 1, 38)])
    matrix = rotation @ np.diag(values) @ rotation.T
    for which, expected in (("algebraic", 2.0), ("magnitude", -3.0)):
        found = sharpness.dominant_eigenvalue(lambda v: matrix @ v, 40, which, tolerance=1e-8)
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("values", [[0.0, 0, 0], [5.0, 0, 0], [-5.0, 0, 0], [2.5]])
def test_eigenvalue_of_matrices_of_low_rank_and_of_one_number(values):
    found = sharpness.dominant_eigenvalue(lambda v: np.diag(values) @ v, len(values))
    assert found == pytest.approx(max(values), abs=1e-6)


def test_what_cannot_be_measured_is_nan():
    assert np.isnan(sharpness.dominant_eigenvalue(lambda v: v * np.nan, 5))
    matrix = np.diag(np.linspace(0.999, 1, 200))
    assert np.isnan(sharpness.dominant_eigenvalue(lambda v: matrix @ v, 200, iterations=1, tolerance=1e-12))


def test_products_equal_second_differences_in_numpy(benchmark):
    """In float64 and over steps of 1e-5, within which no ReLU changes its side."""
    supernet, measured = benchmark
    loss, logits = numpy_loss(supernet), point(30)
    assert measured.loss(logits, TEMPERATURE) == pytest.approx(loss(logits), rel=1e-5)
    vectors = sharpness.unit_directions(4, 30, 5)
    found = np.stack([measured.product(vector, logits, TEMPERATURE) for vector in vectors])
    h = 1e-5
    for vector, image in zip(vectors, found, strict=True):
        second = (loss(logits + h * vector) - 2 * loss(logits) + loss(logits - h * vector)) / h**2
        assert vector @ image == pytest.approx(second, rel=1e-2, abs=2e-4)


@pytest.mark.parametrize("which, pick", [("algebraic", np.max), ("magnitude", lambda v: v[np.abs(v).argmax()])])
@pytest.mark.parametrize("space", ["benchmark", "small_darts"])
def test_eigenvalue_of_the_dense_hessian(space, which, pick, dense_hessians):
    measured, logits, hessian = dense_hessians[space]
    values = np.linalg.eigvalsh(hessian)
    found = sharpness.dominant_eigenvalue(
        lambda vector: measured.product(vector, logits, TEMPERATURE), measured.size, which, tolerance=1e-6
    )
    assert found == pytest.approx(pick(values), rel=1e-3) and np.abs(values).max() > 1e-3


@pytest.fixture(scope="module")
def small():
    return surface(small_darts())


@pytest.fixture(scope="module")
def dense_hessians(benchmark, small):
    """Surface, logits and Hessian of either space."""
    surfaces = {"benchmark": benchmark[1], "small_darts": small[1]}
    at = {name: (measured, point(measured.size)) for name, measured in surfaces.items()}
    return {name: (measured, logits, dense(measured, logits)) for name, (measured, logits) in at.items()}


def dense(measured, logits):
    """The Hessian [n, n] as the Jacobian of the gradient.

    Not by two calls of `tf.gradients`: the second one is wrong for some supernets (no longer symmetric).
    """
    images, labels = measured._batches[0]

    @tf.function(autograph=False)
    def hessian(at):
        with tf.GradientTape() as outer:
            outer.watch(at)
            with tf.GradientTape() as inner:
                inner.watch(at)
                loss = measured._loss(at, tf.constant(TEMPERATURE), images, labels)
            slope = inner.gradient(loss, at)
        return outer.jacobian(slope, at, experimental_use_pfor=False)

    matrix = hessian(tf.constant(logits, tf.float32)).numpy()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4 * np.abs(matrix).max())
    return np.float64(matrix)


@pytest.mark.slow
def test_shared_and_rematerialised_edges_give_the_same_products(small):
    _, plain = small
    vector, logits = np.linspace(-1, 1, plain.size), point(plain.size)
    expected = plain.product(vector, logits, TEMPERATURE)
    for settings in ({}, {"rematerialize": True}):
        supernet, measured = surface(small_darts(), **settings)
        traces = SharedTraces()
        for layer in supernet.blocks:
            if isinstance(layer, SearchCell):
                layer.traces = traces
        found = measured.product(vector, logits, TEMPERATURE)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_loss_difference_in_numpy(benchmark):
    supernet, measured = benchmark
    loss, logits = numpy_loss(supernet), point(30)
    directions = np.random.default_rng(9).normal(size=(5, 30))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([loss(logits + 0.5 * direction) for direction in directions]) - loss(logits)
    found = sharpness.loss_difference(lambda at: measured.loss(at, TEMPERATURE), logits, 0.5, directions)
    assert found == pytest.approx(expected, rel=1e-3, abs=2e-6) and abs(expected) > 1e-3


def test_loss_difference_of_a_square_is_the_radius_squared():
    directions = sharpness.unit_directions(7, 5, seed=2)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    found = sharpness.loss_difference(lambda at: at @ at, np.zeros(5), 0.3, directions)
    assert found == pytest.approx(0.09)
    np.testing.assert_array_equal(directions, sharpness.unit_directions(7, 5, seed=2))


def test_one_trace_for_all_epochs(benchmark):
    _, measured = benchmark
    for temperature in (1.0, 0.1):
        measured.product(np.ones(30), point(30, 3), temperature)
        measured.loss(point(30, 4), temperature)
    assert [f.experimental_get_tracing_count() for f in measured.functions.values()] == [1, 1]


def test_moving_averages_and_noise_stay_and_batches_are_averaged():
    names = ("skip_connect", "noise", "nor_conv_1x1")
    cell = CellSpec("cell", 1, 2, (Edge(0, 1, names),))
    blocks = (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4))
    supernet, measured = surface(Space("noisy", (cell,), blocks), batches=2, running_statistics=True)
    before = [variable.numpy() for variable in supernet.variables]
    assert len(supernet.non_trainable_variables) > 2
    logits = point(3)
    first = measured.product(np.ones(3), logits, 1.0), measured.loss(logits, 1.0)
    again = measured.product(np.ones(3), logits, 1.0), measured.loss(logits, 1.0)  # the noise too is the same
    np.testing.assert_allclose(first[0], again[0], rtol=1e-4, atol=1e-7)
    assert first[1] == pytest.approx(again[1], rel=1e-6)
    for value, variable in zip(before, supernet.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    parts = [
        sharpness.LossSurface(supernet, BoundRelaxation(Softmax()).mean, {"cell": (1, 3)}, [b])
        for b in measured._batches
    ]
    assert first[1] == pytest.approx(np.mean([part.loss(logits, 1.0) for part in parts]), rel=1e-5)


def test_a_symmetric_product_passes():
    matrix = np.random.default_rng(1).normal(size=(6, 6))
    sharpness.check_symmetry(lambda vector: (matrix + matrix.T) @ vector, 6)
    with pytest.raises(UserError, match="not its derivative"):
        sharpness.check_symmetry(lambda vector: matrix @ vector, 6)


def test_an_operation_without_second_derivative_is_named():
    class Supernet:
        variables = ()

        def __call__(self, images, probs, **_):
            return tf.nn.fractional_max_pool(probs["cell"][None, :, :, None], [1, 2, 1, 1], seed=1)[0][0, :, :, 0]

    shapes = {"cell": (4, 3)}
    measured = sharpness.LossSurface(Supernet(), BoundRelaxation(Softmax()).mean, shapes, [(IMAGES[:2], LABELS[:2])])
    with pytest.raises(UserError, match="second derivatives.*FractionalMaxPoolGrad"):
        measured.product(np.ones(12), np.zeros(12), 1.0)
