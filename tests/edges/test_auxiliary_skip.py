"""The auxiliary skip connection of DARTS-: the released weights, NumPy, and where it is left out."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from edge_cells import built, kernels, scalars, values
from numpy_supernet import cell, convolve, forward, normalize, relu, shuffle
from scipy.special import logsumexp, softmax
from tiny_search import method

from tf_edd.analysis.counting import count_supernet
from tf_edd.architectures.logits import ArchLogits
from tf_edd.edges import AuxiliarySkip, PartialChannels, edges
from tf_edd.errors import UserError
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.moment import Moment
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import Softmax
from tf_edd.spaces import CellSpec, Edge, darts, nas_bench_201, proxyless
from tf_edd.steps import Batch, StepInfo, StepSetup

LABELS = np.int32([0, 2, 1, 2])
PROBS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)
RELEASED = {  # DARTS-, src/utils.py: epoch e of 50
    "linear": lambda e: (50 - e) / 50,
    "cosine": lambda e: (1 + math.cos(math.pi * e / 50)) / 2,
    "slow_cosine": lambda e: math.cos(math.pi * e / 100),
}


def moment(progress):
    return Moment(tf.constant(progress, tf.float32), tf.constant([1, 2]))


@pytest.mark.parametrize("decay", RELEASED)
def test_weights_are_the_released_ones(decay):
    part = AuxiliarySkip(0.8, decay)
    for epoch in (0, 1, 25, 49):
        assert float(part.weight(epoch / 50)) == pytest.approx(0.8 * RELEASED[decay](epoch), abs=1e-6)
    assert part.metrics(1.0)["arch/auxiliary_weight"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_a_cell_equals_numpy_at_its_moment(shared):
    x, settings = values(4, 6, 6, 4), {"traces": SharedTraces()} if shared else {}
    layer = built(nas_bench_201(4, 1).cells[0], [x.shape], AuxiliarySkip(0.8), **settings)
    for at, weight in ((None, 0.0), (moment(0.25), 0.6), (moment(1.0), 0.0)):
        result = layer.call([tf.constant(x)], scalars(PROBS), training=True, moment=at)
        expected = cell(x.astype(np.float64), PROBS, kernels(layer), auxiliary=weight)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_a_discretized_cell_has_none():
    x, chosen = values(4, 6, 6, 4), np.eye(5)[[3, 1, 4, 2, 3, 0]]
    layer = built(nas_bench_201(4, 1).cells[0], [x.shape], AuxiliarySkip())
    result = layer.call([tf.constant(x)], scalars(chosen), single_path=True, moment=moment(0.1))
    np.testing.assert_allclose(result, cell(x.astype(np.float64), chosen, kernels(layer)), rtol=1e-4, atol=1e-4)


def test_stride_2_takes_a_factorized_reduction_of_its_own():
    x = values(4, 6, 6, 4)
    layer = built(CellSpec("reduce", 1, 2, (Edge(0, 1, ("none", "max_pool_3x3"), 2),)), [x.shape], AuxiliarySkip())
    first, second = kernels(layer)
    shifted = np.pad(x[:, 1:, 1:], [(0, 0), (0, 1), (0, 1), (0, 0)])
    halves = [convolve(relu(part[:, ::2, ::2]), kernel) for part, kernel in ((x, first), (shifted, second))]
    expected = 0.75 * normalize(np.concatenate(halves, axis=-1))
    result = layer.call([tf.constant(x)], scalars([[1, 0]]), moment=moment(0.25))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_it_surrounds_partial_channels():
    x = values(4, 6, 6, 4)
    parts = edges(auxiliary_skip=AuxiliarySkip(), partial_channels=PartialChannels(2))
    assert list(map(type, parts)) == [PartialChannels, AuxiliarySkip]
    layer = built(nas_bench_201(4, 1).cells[0], [x.shape], *parts)
    expected = cell(x.astype(np.float64), PROBS, kernels(layer), groups=2, auxiliary=0.5)
    result = layer.call([tf.constant(x)], scalars(PROBS), moment=moment(0.5))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    # Next to the candidates it has their channels.
    layer = built(CellSpec("one", 1, 2, (Edge(0, 1, ("skip_connect", "none")),)), [x.shape], *parts[::-1])
    result = layer.call([tf.constant(x)], scalars([[0.25, 0.75]]), moment=moment(0.5))
    expected = shuffle(np.concatenate([(0.25 + 0.5) * x[..., :2], x[..., 2:]], axis=-1), 2)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_parameters_are_those_of_the_released_supernet():
    """By arithmetic on the released layers: 16 more factorized reductions than the supernet of DARTS."""
    assert count_supernet(darts(), (32, 32, 3), 10, edges=(AuxiliarySkip(),)).parameters == 1_971_578


def test_what_it_cannot_take_is_refused():
    with pytest.raises(UserError, match="decay must be one of 'linear', 'cosine', 'slow_cosine'. Received: decay='x'"):
        AuxiliarySkip(decay="x")
    with pytest.raises(UserError, match="initial must be a positive number. Received: initial=0"):
        AuxiliarySkip(0)
    with pytest.raises(UserError, match="edges that keep the number of their channels"):
        AuxiliarySkip().check(proxyless())


def first_step(progress, *regularizers):
    """The losses of a step at this progress, of which nothing moves, its supernet and its probabilities."""
    keras.utils.set_random_seed(1)
    supernet = Supernet(nas_bench_201(4, 1), 3, make_edge=edge_factory((AuxiliarySkip(),)))
    supernet.build((None, 8, 8, 3))
    still = {f"{name}_optimizer": SGD(0.0, weight_decay=0.0) for name in ("weight", "arch")}
    parts = method(edges=(AuxiliarySkip(),), relaxation=Softmax(), regularizers=regularizers, **still)
    logits = ArchLogits(supernet.space, seed=0, init_scale=0.5)
    step = parts.step.build(StepSetup(supernet, logits, parts))
    batches = {name: Batch(tf.constant(values(4, 8, 8, 3, seed=s)), LABELS) for s, name in enumerate(step.phases)}
    scalars = step(batches, StepInfo(0, progress=progress))
    return {tag: float(value) for tag, value in scalars.items()}, supernet, softmax(logits.numpy()["cell"], axis=1)


@pytest.mark.parametrize("progress", [0.0, 0.25])
def test_a_step_has_the_skip_of_its_progress_in_both_phases(progress):
    losses, supernet, probs = first_step(progress)
    weights = [variable.numpy() for variable in supernet.trainable_variables]
    for seed, tag in enumerate(("loss/weights", "loss/arch")):
        outputs = forward(values(4, 8, 8, 3, seed=seed), probs, weights, auxiliary=1 - progress)
        expected = np.mean(logsumexp(outputs, axis=1) - outputs[np.arange(4), LABELS])
        assert losses[tag] == pytest.approx(expected, rel=1e-4)


def test_a_teacher_has_it_too():
    """One that is equal to the student adds nothing to the loss."""
    plain, _, _ = first_step(0.25)
    distilled, _, _ = first_step(0.25, SelfDistillation(warmup_epochs=0))
    assert distilled["loss/weights"] == pytest.approx(plain["loss/weights"], abs=1e-5)
