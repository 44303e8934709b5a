"""What a search checks before its folder is made: parts are tried, a step is traced, actions are asked."""

import dataclasses

import keras
import pytest
import tensorflow as tf
from tiny_search import EPOCHS, Stop, StopAt, method, run

from tf_edd import data
from tf_edd.actions import GenotypeLog, Sharpness, TableLookup
from tf_edd.architectures.table import NasBench201Table
from tf_edd.errors import UserError
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.relaxations import Softmax
from tf_edd.runtime import files
from tf_edd.schedules import ConstantRate, CosineRate, LinearTemperature, SequenceRate, WarmupRate
from tf_edd.search import plan
from tf_edd.steps import FirstOrder
from tf_edd.steps.alternation import Alternation


class RefusesInTheStep(Softmax):
    """What only a step meets."""

    def __call__(self, logits, temperature, seed=None):
        raise UserError("Expected other logits. Received: these")


def no_genotype(probs, space):
    return sorted(probs)


def late(images, seed):
    """Refuses the images when it runs, not when it is traced."""
    with tf.control_dependencies([tf.debugging.assert_less(tf.reduce_max(tf.cast(images, tf.int32)), 0, "too bright")]):
        return tf.identity(images)


@dataclasses.dataclass(frozen=True)
class Heating:
    """A schedule of temperatures that begins at 0."""

    def init(self):
        return {}, 0.0

    def update(self, state, tick, mean_entropy):
        return {}, 1.0


REFUSED = [
    ({"relaxation": RefusesInTheStep()}, UserError, "Expected other logits"),
    ({"discretizer": no_genotype}, UserError, r"Method.discretizer must give a Genotype. Received: \['cell'\]"),
    ({"augmentation": [late]}, tf.errors.InvalidArgumentError, "too bright"),
    ({"temperature": Heating()}, UserError, r"Method.temperature must give .* Received: \(\{\}, 0.0\) from Heating"),
    (
        {"weight_rate": keras.optimizers.schedules.CosineDecay(0.1, 100)},
        UserError,
        "Method.weight_rate must give each epoch .* a number of at least 0. Received: <tf.Tensor",
    ),
    ({"arch_rate": lambda epoch: "0.1"}, UserError, "Method.arch_rate must give each epoch .* Received: '0.1'"),
    ({"arch_rate": lambda epoch: float("nan")}, UserError, "Method.arch_rate must give each epoch"),
    ({"weight_rate": CosineRate(0.1, EPOCHS + 1)}, UserError, f"weight_rate must last as long as the run, {EPOCHS} "),
    ({"temperature": LinearTemperature(EPOCHS + 1)}, UserError, "temperature must last as long as the run"),
    ({"actions": (Sharpness(batches=10**6),)}, UserError, "Sharpness expects 1000000 batches"),
    ({"actions": (TableLookup(NasBench201Table("nowhere.csv")),)}, UserError, "TableLookup expects a search in the"),
    ({"checkpoint_steps": 0}, UserError, "checkpoint_steps must be an integer of at least 1 or None"),
    ({"actions": GenotypeLog()}, UserError, "^search.actions must be a list of actions"),
    ({"data": data.Digits}, UserError, "^search.data must be a data set"),
    ({"augmentation": data.Crop()}, UserError, "^search.augmentation must be a list of augmentations"),
    ({"split": 0.5}, UserError, "^search.split must be a list of 2 numbers"),
]


@pytest.mark.parametrize(
    "changes, error, message", REFUSED, ids=[f"{row[2][:40]}-{place}" for place, row in enumerate(REFUSED)]
)
def test_what_is_refused_leaves_no_folder(tmp_path, changes, error, message):
    with pytest.raises(error, match=message) as raised:
        run(tmp_path / "run", **changes)
    assert "configurable" not in str(raised.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [row[0] for row in REFUSED[1:9]])
def test_a_dry_run_refuses_it_too(tmp_path, changes):
    with pytest.raises((UserError, tf.errors.InvalidArgumentError)):
        run(tmp_path / "run", dry_run=True, **changes)


def test_schedules_of_the_right_length_and_of_none_pass():
    for rate in (WarmupRate(CosineRate(0.1, 9), 3), SequenceRate(ConstantRate(0.1), 4, CosineRate(0.1, 5))):
        method(weight_rate=rate).check(9)
        with pytest.raises(UserError, match="must last as long as the run, 8 epochs.* Received: 9 epochs"):
            method(weight_rate=rate).check(8)
    method(weight_rate=WarmupRate(ConstantRate(0.1), 3)).check(4)
    warm = {"weight_rate": ConstantRate(0.1), "warmup_epochs": 2}
    for epochs in (5, 7):  # with the search, or with the logits
        method(**warm, temperature=LinearTemperature(epochs)).check(7)
    with pytest.raises(UserError, match="Method.temperature must last"):
        method(**warm, temperature=LinearTemperature(6)).check(7)
    method(**warm, ticks=6, temperature=LinearTemperature(6)).check(7)
    with pytest.raises(UserError, match="Method.temperature must last"):
        method(**warm, ticks=6, temperature=LinearTemperature(7)).check(7)


def test_a_new_search_is_traced_once_before_its_folder_and_a_resumed_one_is_not(tmp_path, monkeypatch):
    calls, trace = [], Alternation.trace

    def counted(self, batches, info):
        calls.append((info.epoch, tuple(info.phases), tmp_path.exists() and any(tmp_path.iterdir())))
        trace(self, batches, info)

    monkeypatch.setattr(Alternation, "trace", counted)
    for _ in range(2):
        with pytest.raises(Stop):
            run(tmp_path, warmup_epochs=1, actions=(StopAt("begin"),))
        assert calls == [(0, ("weights",), False), (1, FirstOrder.phases, False)]


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_search_is_announced_before_it_is_traced(tmp_path, monkeypatch, overwrite):
    events = []
    monkeypatch.setattr(plan, "announce", lambda name, about: events.append(f"{name}: {about}"))
    monkeypatch.setattr(Alternation, "trace", lambda *arguments: events.append("trace"))
    with pytest.raises(Stop):
        run(tmp_path, actions=(StopAt("begin"),), overwrite=overwrite)
    assert events == ["search: digits, images 8x8x1, 10 classes", "trace"]


def test_the_home_folder_has_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Stop):
        run("~/run", actions=(StopAt("begin"),))
    assert (tmp_path / "run" / "search" / "record.json").is_file()


def test_epochs_are_measured_on_the_same_part_of_the_images_and_the_last_on_all(tmp_path, monkeypatch):
    """The split has 64 images for validation; two evaluations an epoch, of mixture and cell."""
    counts, digests, call = [], set(), SupernetEvaluator.__call__

    def counted(self, probs, images, *arguments):
        counts.append(images.size)
        digests.add((images.size, images.describe()["sha256"]))
        return call(self, probs, images, *arguments)

    monkeypatch.setattr(SupernetEvaluator, "__call__", counted)
    run(tmp_path / "some", measured_images=20)
    assert counts == [20] * 4 + [64] * 2 and len(digests) == 2
    counts.clear()
    run(tmp_path / "all", measured_images=1000)
    assert counts == [64] * 6


def test_an_epoch_of_so_many_steps_takes_any_data(tmp_path):
    """Batches of 48 from 2 x 64 images: a pass would have one step."""
    result = run(tmp_path, batch_size=48, steps_per_epoch=3, epochs=2)
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert files.read_json(tmp_path / "search/record.json")["steps_per_epoch"] == 3
    text = run(tmp_path / "x", batch_size=48, steps_per_epoch=3, epochs=2, dry_run=True)
    assert "2 epochs x 3 steps of 48 + 48 images" in text


def test_a_search_may_see_smaller_images_than_there_are(tmp_path):
    """Digits are of 8 x 8; the record keeps the images as they are stored."""
    result = run(tmp_path, max_image_side=4, epochs=1)
    assert len(result.history) == 1
    record = files.read_json(tmp_path / "search/record.json")
    assert record["max_image_side"] == 4 and record["images"]["image_shape"] == [8, 8, 1]
    assert "images (4, 4, 1)" in run(tmp_path / "x", max_image_side=4, dry_run=True)
