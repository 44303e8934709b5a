"""Steps: the interface that the loop calls, one trace, replicas, half precision, resume, two searches with one part."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from child_processes import finish, start
from conformance.rows import STEPS, decidable, each, parts_for
from conformance.some_steps import IMAGES, Trial
from tiny_search import BATCH, Stop, outcome, run, stop_at_save, tiny_space

from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import table_shapes
from tf_edd.discretizers import Argmax
from tf_edd.networks.supernet import Supernet
from tf_edd.regularizers import BetaDecay
from tf_edd.steps import EpochInfo, StepInfo
from tf_edd.steps.step import LOGIT_PARTS

EPOCHS, STEPS_PER_EPOCH = 2, 2


@pytest.fixture
def mixed_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@each(STEPS)
def test_the_loop_finds_what_the_interface_declares(row):
    part = row.build()
    assert set(part.takes) <= set(LOGIT_PARTS) and "weights" in part.phases
    trial = Trial(part, row.parts)
    step = trial.step
    assert step.phases == part.phases and set(step.phases) <= {"weights", "arch"}
    for name, variables in step.variables.items():
        assert type(name) is str and all(isinstance(v, (tf.Variable, keras.Variable)) for v in variables)
    logits = trial.logits.numpy()
    scalars = trial.take(("weights",), count=1)[0]  # of the warmup
    assert {"loss/weights", "accuracy/train"} <= set(scalars)
    assert all("/" in tag and math.isfinite(value) for tag, value in scalars.items())
    for cell_type, table in trial.logits.numpy().items():
        np.testing.assert_array_equal(table, logits[cell_type])
    epoch = EpochInfo(0, 4, 1, 0, GivenBatches(trial))
    assert all(math.isfinite(value) for value in step.end_epoch(epoch).values())
    check_architecture(step, table_shapes(tiny_space(), "edge_weights" in row.parts))
    check_validation(step, epoch)
    order = step.image_order(1)
    assert order is None or (order.shape == (IMAGES,) and order.min() >= 0 and order.max() < IMAGES)


class GivenBatches:
    """What `EpochInfo.batches` must be able to do."""

    def __init__(self, trial):
        self._trial = trial

    def epoch(self, seed, epoch, skip=0, order=None):
        return iter(self._trial.batches(epoch)[skip:])


def check_architecture(step, shapes):
    logits, probs = step.architecture(0.5)
    assert {name: np.shape(table) for name, table in logits.items()} == shapes
    assert {cell_type: np.shape(table) for cell_type, table in probs.items()} == tiny_space().logit_shapes
    for table in probs.values():
        np.testing.assert_allclose(np.sum(table, axis=1), 1, rtol=1e-5)


def check_validation(step, epoch):
    space, asked = tiny_space(), []

    def evaluate(tables, progress=0.0):
        assert 0 <= progress <= 1
        assert {cell_type: np.shape(table) for cell_type, table in tables.items()} == space.logit_shapes
        asked.append(tables)
        return 1.0 + len(asked), 0.1 * len(asked)

    known = EpochInfo(epoch.epoch, epoch.epochs, epoch.step, epoch.seed, epoch.batches, step.architecture(0.5))
    genotype, metrics = step.validate(known, evaluate, Argmax())
    assert isinstance(genotype, Genotype) and genotype.check(space) is genotype
    assert {"loss/valid", "accuracy/valid", "accuracy/discretized"} <= set(metrics)
    assert all(math.isfinite(value) for value in metrics.values()) and asked


@each(STEPS)
def test_steps_move_what_their_phases_name(row):
    trial = Trial(row.build(), row.parts)
    before = trial.values()
    losses = [scalars["loss/weights"] for scalars in trial.take()]
    assert len(set(losses)) == len(losses)
    for name, values in trial.values().items():
        assert not values.size or not np.array_equal(values, before[name]), name


@each(STEPS)
def test_one_trace_whatever_the_step_and_the_temperature(row, monkeypatch):
    """The network is called in Python while a function is traced, and at no other time."""
    calls, original = [], Supernet.__call__

    def counted(self, *arguments, **options):
        calls.append(1)
        return original(self, *arguments, **options)

    trial = Trial(row.build(), row.parts)
    monkeypatch.setattr(Supernet, "__call__", counted)
    trial.take(count=1)
    once = len(calls)
    trial.take()
    for batch in trial.batches()[:1]:
        trial.step(batch, StepInfo(100, 7, 0.9, 1e-3, trial.part.phases))
    assert len(calls) == once > 0


@each(STEPS)
def test_a_trace_spares_the_first_step_its_own_and_changes_nothing(row, monkeypatch):
    calls, original = [], Supernet.__call__

    def counted(self, *arguments, **options):
        calls.append(1)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Supernet, "__call__", counted)
    plain, traced = Trial(row.build(), row.parts), Trial(row.build(), row.parts)
    expected, calls_of_steps = plain.take(), len(calls)
    before = traced.values()
    traced.step.trace(traced.batches()[0], StepInfo(7, 3, 0.5, 0.1, traced.part.phases))
    assert len(calls) == 2 * calls_of_steps
    for name, values in traced.values().items():
        np.testing.assert_array_equal(values, before[name])
    assert traced.take() == expected and len(calls) == 2 * calls_of_steps
    for name, values in traced.values().items():
        np.testing.assert_array_equal(values, plain.values()[name])


@each(STEPS)
def test_bfloat16_is_finite_and_near_float32(row, mixed_bfloat16):
    low = Trial(row.build(), row.parts)
    keras.config.set_dtype_policy("float32")
    high = Trial(row.build(), row.parts)
    for target, source in zip(high.supernet.variables, low.supernet.variables, strict=True):
        np.testing.assert_array_equal(target, source)
    keras.config.set_dtype_policy("mixed_bfloat16")
    rows = low.take()
    keras.config.set_dtype_policy("float32")
    for scalars, expected in zip(rows, high.take(), strict=True):
        assert all(math.isfinite(value) for value in scalars.values())
        assert scalars["loss/weights"] == pytest.approx(expected["loss/weights"], rel=0.05)
    assert all(np.isfinite(values).all() for values in low.values().values())


DECIDED = {"cell": [[True, False], [True, True]]}  # the first edge has a skip connection
WITH_LOGITS = [row for row in STEPS if decidable(row)]


@each(WITH_LOGITS)
def test_a_decided_edge_runs_its_operation_and_its_logits_rest(row):
    """Nothing moves the candidate that was not chosen but momentum and weight decay, here in NumPy."""
    trial = Trial(row.build(), {**row.parts, "regularizers": (BetaDecay(),)}, allowed=DECIDED)
    before = trial.logits.numpy()["cell"]
    weights = {name: value.numpy().astype(np.float64) for name, value in first_edge(trial).items()}
    scalars = trial.take()
    after, moved = trial.logits.numpy()["cell"], first_edge(trial)
    np.testing.assert_array_equal(after[0], before[0])
    assert np.abs(after[1] - before[1]).min() > 1e-3
    np.testing.assert_array_equal(trial.step.architecture(0.5).probs["cell"][0], [1, 0])
    assert not np.signbit(trial.step.architecture(0.5).probs["cell"]).any()
    rate, decay, momentum = 0.1, trial.method.weight_optimizer.coupled_decay, trial.method.weight_optimizer.momentum
    assert weights and decay > 0 and all(math.isfinite(value) for values in scalars for value in values.values())
    for name, value in weights.items():
        velocity = np.zeros_like(value)
        for _ in scalars:
            velocity = momentum * velocity + decay * value
            value = value - rate * velocity
        np.testing.assert_allclose(moved[name], value, rtol=1e-6, atol=1e-7)


def first_edge(trial):
    """The trainable variables of the candidate 1x1 convolution of the first edge."""
    (found,) = [op for _, _, _, op in trial.supernet.candidates() if op.name == "nor_conv_1x1"][:1]
    return {variable.name: variable.value for variable in found.trainable_variables}


@each(WITH_LOGITS)
def test_a_decided_edge_is_that_of_a_network_without_the_other_candidate(row):
    """Losses and updates do not depend on weights that a mask has closed; nor on whether the other is left out."""
    results = []
    for poison, leaves_out in ((1.0, False), (1.0, True), (-3.0, True)):
        trial = Trial(row.build(), row.parts, allowed=DECIDED)
        for variable in first_edge(trial).values():
            variable.assign(variable * poison)
        if leaves_out:
            trial.step._fed_temperature = 1.0  # as after an epoch
            trial.step.end_epoch(EpochInfo(0, 4, 1, 0, GivenBatches(trial)))
        results.append((trial.take(), trial.logits.numpy()["cell"][1]))
    for scalars, logits in results[1:]:
        np.testing.assert_allclose(logits, results[0][1], rtol=1e-4, atol=1e-6)
        for values, expected in zip(scalars, results[0][0], strict=True):
            assert values["loss/weights"] == pytest.approx(expected["loss/weights"], rel=1e-5)


@each(WITH_LOGITS)
def test_decisions_trace_once_more_at_most(row, monkeypatch):
    calls, original = [], Supernet.__call__

    def counted(self, *arguments, **options):
        calls.append(1)
        return original(self, *arguments, **options)

    trial = Trial(row.build(), row.parts, allowed={"cell": np.ones((2, 2), bool)})
    monkeypatch.setattr(Supernet, "__call__", counted)
    counts = []
    for allowed in ([[1, 1], [1, 1]], DECIDED["cell"], [[1, 0], [0, 1]], [[1, 0], [0, 0]]):
        trial.logits.allow({"cell": np.asarray(allowed, bool)})
        trial.take(count=2)
        trial.step.end_epoch(EpochInfo(0, 4, 1, 0, GivenBatches(trial)))
        trial.take(count=1)
        counts.append(len(calls))
    assert counts[1] <= 2 * counts[0] and counts[1] == counts[2] == counts[3]


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    """What some steps reach on one device, and on two with half a batch each."""
    folder = tmp_path_factory.mktemp("replicas")
    program = start(Path(__file__).with_name("replicated_steps.py"), folder / "results.npz", log=folder / "log")
    finish([program], [folder / "log"])
    results = np.load(folder / "results.npz")
    assert results["one/replicas"] == 1 and results["mirrored/replicas"] == 2
    return results


@pytest.mark.slow
@each(STEPS)
def test_two_replicas_are_one(row, replicated):
    place = next(place for place, other in enumerate(STEPS) if other is row)
    one, two = (
        {
            key.removeprefix(f"{name}/{place}/"): replicated[key]
            for key in replicated
            if key.startswith(f"{name}/{place}/")
        }
        for name in ("one", "mirrored")
    )
    assert one.keys() == two.keys() >= {"weights", "start/weights", "scalars/loss/weights"}
    for name in one:
        if name.startswith("scalars/"):
            # Before a batch norm a single path has a gradient of 0, up to rounding.
            np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_allclose(two[name], one[name], rtol=0, atol=2e-5, err_msg=name)
    assert np.abs(one["weights"] - one["start/weights"]).max() > 0.01


@pytest.mark.slow
@each(WITH_LOGITS)
def test_two_replicas_are_one_with_a_decided_edge(row, replicated):
    place = next(place for place, other in enumerate(STEPS) if other is row)
    start, one, two = (
        replicated[f"{key}/decided/{place}/{what}"].reshape(2, 2)
        for key, what in (("one", "start/logits"), ("one", "logits"), ("mirrored", "logits"))
    )
    np.testing.assert_allclose(two, one, rtol=0, atol=2e-5)
    for found in (one, two):
        np.testing.assert_array_equal(found[0], start[0])
        assert np.abs(found[1] - start[1]).min() > 1e-3
    weights = [replicated[f"{key}/decided/{place}/weights"] for key in ("one", "mirrored")]
    np.testing.assert_allclose(weights[1], weights[0], rtol=0, atol=2e-5)


def searched(folder, part, parts, **changes):
    """A search of two epochs of two steps, with a checkpoint after each step."""
    sizes = {"epochs": EPOCHS, "split": (STEPS_PER_EPOCH * BATCH, STEPS_PER_EPOCH * BATCH), "checkpoint_steps": 1}
    return run(folder, **{**parts_for(part, parts), **sizes, **changes})


@pytest.mark.slow
@each(STEPS)
def test_a_stopped_search_goes_on_to_the_bit_and_one_part_serves_both(row, tmp_path):
    part = row.build()
    searched(tmp_path / "whole", part, row.parts)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, 3, after=True)  # within the second epoch
        searched(tmp_path / "stopped", part, row.parts)
    result = searched(tmp_path / "stopped", part, row.parts)
    whole = outcome(tmp_path / "whole")
    assert outcome(tmp_path / "stopped") == whole
    assert len(result.history) == EPOCHS and result.genotype.check(tiny_space())
    assert part == row.build()
