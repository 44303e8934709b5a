"""Gibbs sampling: the conditional draw by its definition, the noise by its variance, and what rests."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conformance.some_steps import IMAGES, Trial

from tf_edd.errors import UserError
from tf_edd.runtime.seeds import step_seed
from tf_edd.steps import GibbsSampling, StepInfo, StepSetup


def state(trial):
    """The cell of now and the counts, by cell type."""
    names = list(trial.supernet.space.logit_shapes)
    cell, counts = trial.step.variables["gibbs_cell"], trial.step.variables["gibbs_counts"]
    return (
        {name: variable.numpy() for name, variable in zip(names, cell, strict=True)},
        {name: variable.numpy() for name, variable in zip(names, counts, strict=True)},
    )


def losses_of(trial, batch, name, edge):
    """The loss of the cell with each candidate on one edge, by as many calls of the supernet."""
    cell = state(trial)[0]
    found = []
    for candidate in range(cell[name].shape[1]):
        path = {key: table.copy() for key, table in cell.items()}
        path[name][edge] = np.eye(path[name].shape[1])[candidate]
        outputs = trial.supernet(batch.images, {k: tf.constant(v, tf.float32) for k, v in path.items()}, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.labels, outputs)
        found.append(float(tf.reduce_mean(losses)))
    return np.array(found)


def as_batch(parts):
    images, labels, *_ = parts
    return type("Batch", (), {"images": images, "labels": labels})


@pytest.mark.parametrize("evidence", [None, 30.0])
def test_an_edge_is_drawn_from_the_losses_of_its_candidates(evidence):
    """The draw is that of TensorFlow's stateless categorical with the logits -n L, of the edge whose turn it is."""
    trial = Trial(GibbsSampling(langevin_temperature=0.0, evidence=evidence))
    places = [(name, e) for name, (edges, _) in trial.supernet.space.logit_shapes.items() for e in range(edges)]
    for index in range(len(places) + 2):
        batch = trial.batches()[0]
        before, counts = state(trial)
        name, edge = places[index % len(places)]
        losses = losses_of(trial, as_batch(batch["arch"]), name, edge)
        scalars = trial.step(batch, StepInfo(index, phases=("arch",)))
        after, counted = state(trial)
        n = evidence or float(len(batch["arch"][1]))
        seed = step_seed(0, tf.constant(index, tf.int64), "gibbs")
        drawn = int(tf.random.stateless_categorical(tf.constant([-n * losses], tf.float32), 1, seed)[0, 0])
        expected = {key: table.copy() for key, table in before.items()}
        expected[name][edge] = np.eye(expected[name].shape[1])[drawn]
        for key in expected:
            np.testing.assert_array_equal(after[key], expected[key])
            np.testing.assert_allclose(counted[key], counts[key] + after[key], rtol=1e-6)
        np.testing.assert_allclose(float(scalars["loss/arch"]), losses[drawn], rtol=1e-4)
        assert float(scalars["arch/changed_edges"]) == float(np.any(before[name][edge] != after[name][edge]))


def test_the_genotype_is_that_of_the_frequencies_and_epochs_fade():
    trial = Trial(GibbsSampling(forgetting=0.25))
    trial.take()
    before = state(trial)[1]
    trial.step.end_epoch(None)
    for name, table in state(trial)[1].items():
        np.testing.assert_allclose(table, 0.25 * before[name] + 0.75 / table.shape[1], rtol=1e-6)
    probs = trial.step.architecture(1.0).probs
    for table in probs.values():
        np.testing.assert_allclose(table.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("chosen", [0, 1])
def test_only_the_operations_of_the_cell_move(chosen):
    trial = Trial(GibbsSampling(langevin_temperature=1.0))
    for cell in trial.step.variables["gibbs_cell"]:
        cell.assign(np.eye(cell.shape[1], dtype=np.float32)[[chosen] * cell.shape[0]])
    before = {id(v): v.numpy() for v in trial.supernet.trainable_variables}
    trial.take(("weights",), count=1)
    moved = [
        (position == chosen, not np.array_equal(variable.numpy(), before[id(variable)]))
        for _, _, position, operation in trial.supernet.candidates()
        for variable in operation.trainable_variables
    ]
    assert moved and all(used == changed for used, changed in moved)


def test_the_noise_of_a_step_has_the_variance_of_langevin_dynamics():
    """w' = w - eta g + sqrt(2 eta T / N) xi: against the step without noise, what is left is N(0, 2 eta T / N)."""
    rate, temperature = 0.1, 0.7
    kept = []
    for noise in (0.0, temperature):
        trial = Trial(GibbsSampling(None, noise))
        for cell in trial.step.variables["gibbs_cell"]:
            cell.assign(np.eye(2, dtype=np.float32)[[1] * cell.shape[0]])  # convolutions, so that all variables move
        trial.method.weight_optimizer.momentum = 0.0
        trial.take(("weights",), count=1)
        kept.append(np.concatenate([np.ravel(v.numpy()) for v in trial.supernet.trainable_variables]))
    xi = (kept[1] - kept[0]) / np.sqrt(2 * rate * temperature / IMAGES)
    assert len(xi) > 60 and scipy.stats.kstest(xi, "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    "bad",
    [{"langevin_temperature": -1.0}, {"evidence": 0.0}, {"forgetting": 1.5}, {"weight_gradient_clip": 0.0}],
)
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        GibbsSampling(**bad)


def test_an_optimizer_that_cannot_leave_variables_alone_is_refused():
    trial = Trial(GibbsSampling())
    method = type(trial.method)(
        step=GibbsSampling(), weight_optimizer=keras.optimizers.SGD(), weight_rate=lambda e: 0.1
    )
    with pytest.raises(UserError, match="Gibbs draws expect an optimizer that can leave variables alone"):
        GibbsSampling().build(StepSetup(trial.supernet, trial.logits, method, IMAGES))
