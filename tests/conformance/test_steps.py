"""Steps: the interface that the loop calls, one trace, replicas, half precision, resume, two searches with one part."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from child_processes import finish, start
from conformance.rows import STEPS, each, parts_for
from conformance.some_steps import IMAGES, Trial
from tiny_search import BATCH, Stop, outcome, run, stop_at_save, tiny_space

from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import table_shapes
from tf_edd.discretizers import Argmax
from tf_edd.networks.supernet import Supernet
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
