"""Searches that decide edges on their way: resumed to the bit, recorded, and refused where they cannot be."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from child_processes import finish, start
from conformance.rows import Sigmoid
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_search import STEPS, Stop, checkpointed, method, outcome, run, stop_at_save, tiny_space

from tf_edd.actions import GenotypeLog, Sharpness, TensorBoard
from tf_edd.architectures.logits import ArchLogits
from tf_edd.decisions import Decision, PerturbationSelection, SequentialGreedy
from tf_edd.errors import UserError
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.runtime import files
from tf_edd.samplers import UniformImages, UniformPaths
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.steps import SampledPaths

EPOCHS = 4
GREEDY = SequentialGreedy(stability=True, history=2, first=1, interval=1)  # after epochs 1 and 2 of 4
PERTURBATION = PerturbationSelection(first=1, interval=2)  # after epochs 1 and 3
PARTS = {"greedy": GREEDY, "perturbation": PERTURBATION}


def search(folder, part, **changes):
    return run(folder, **{"epochs": EPOCHS, "decisions": part, "checkpoint_steps": 3, **changes})


def fail_at_evaluation(monkeypatch, count):
    """A kill in the midst of a projection: in the `count`-th evaluation of the supernet from now."""
    original, calls = SupernetEvaluator.__call__, []

    def evaluate(self, *arguments):
        calls.append(1)
        if len(calls) == count:
            raise Stop
        return original(self, *arguments)

    monkeypatch.setattr(SupernetEvaluator, "__call__", evaluate)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_search_stopped_around_its_decisions_ends_as_one_that_was_not(name, tmp_path):
    part = PARTS[name]
    search(tmp_path / "whole", part)
    whole = outcome(tmp_path / "whole")
    assert [len(row.get("decisions", ())) for row in whole["history"]] == {
        "greedy": [1, 1, 0, 0],
        "perturbation": [1, 0, 1, 0],
    }[name]
    # After a decision before its checkpoint; between two decisions, inside an epoch; before and after the last one.
    for count, after in [(2, False), (3, True), (2, False), (1, True)]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            stop_at_save(patch, count, after)
            search(tmp_path / "stopped", part)
    if name == "perturbation":
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            fail_at_evaluation(patch, 2)
            search(tmp_path / "killed", part)
        search(tmp_path / "killed", part)
        assert outcome(tmp_path / "killed") == whole
    search(tmp_path / "stopped", part)
    assert outcome(tmp_path / "stopped") == whole
    masks = [value for key, value in whole["variables"].items() if key.startswith("decisions/")]
    assert len(masks) == 1 and np.frombuffer(masks[0], np.float32).reshape(2, 2).sum(axis=1).tolist() == [1, 1]
    results = [files.read_json(tmp_path / folder / "search" / "results.json") for folder in ("whole", "stopped")]
    assert results[0]["decisions"] == results[1]["decisions"] and len(results[0]["decisions"]) == 2


def test_what_was_decided_is_the_cell_and_is_recorded(tmp_path):
    result = search(tmp_path, PERTURBATION, actions=(GenotypeLog(), TensorBoard()))
    rows, last = result.history, result.history[-1]
    assert [row["arch/decided_edges"] for row in rows] == [1, 1, 2, 2]
    assert {row["arch/removed_edges"] for row in rows} == {0}
    assert last["accuracy/valid"] == last["accuracy/discretized"] and last["arch/entropy"] == 0
    told = files.read_json(tmp_path / "search" / "results.json")["decisions"]
    assert [entry["epoch"] for entry in told] == [1, 3]
    operations = {text.split(" ")[1].rstrip(":"): text.split(" ")[2] for entry in told for text in entry["decided"]}
    assert operations == {"0->1": result.genotype.operations()[0], "1->2": result.genotype.operations()[1]}
    logged = files.read_lines(tmp_path / "search" / "genotypes.jsonl")
    assert [row.get("decisions") for row in logged] == [told[0]["decided"], None, told[1]["decided"], None]
    assert "-0.0" not in (tmp_path / "search" / "genotypes.jsonl").read_text()
    events = EventAccumulator(str(tmp_path / "search"), {"tensors": 0})
    events.Reload()
    decided = [tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors("search/decided_edges")]
    assert decided == [1, 1, 2, 2]
    texts = {event.step: tf.make_ndarray(event.tensor_proto).item().decode() for event in events.Tensors("decisions")}
    assert set(texts) == {1, 3} and told[0]["decided"][0] in texts[1]


def test_fixed_logits_stay_and_no_step_is_theirs(tmp_path):
    """DARTS+PT's "blank" method: the warm-up is the whole search."""
    result = search(tmp_path, PERTURBATION, warmup_epochs=EPOCHS)
    values = checkpointed(tmp_path / "search")
    (logits,) = [value for name, value in values.items() if name.startswith("logits/")]
    assert logits == ArchLogits(tiny_space(), seed=3).numpy()["cell"].tobytes()
    assert all("loss/arch" not in row and row["arch/temperature"] == 1 for row in result.history)
    assert result.history[-1]["arch/decided_edges"] == 2


@dataclasses.dataclass(frozen=True)
class Scripted:
    """Decides what it is told to, after each epoch; keeps the views."""

    masks: tuple
    views: list = dataclasses.field(default_factory=list, compare=False)

    def describe(self):
        return {"masks": len(self.masks)}

    def check(self, space, epochs):
        pass

    def __call__(self, view):
        self.views.append(view)
        mask = np.asarray(self.masks[min(view.epoch, len(self.masks)) - 1])
        return Decision({"cell": mask}, ("something",), {"asked": view.epoch})


OPEN, ONE = np.ones((2, 2), bool), np.array([[True, False], [True, True]])


def test_a_view_shows_the_search_after_the_epoch(tmp_path):
    part = Scripted((OPEN, ONE, ONE, ONE))
    result = search(tmp_path, part, split=(STEPS * 16, 40))
    views = part.views
    assert [(view.epoch, view.epochs, view.seed, len(view.history)) for view in views] == [
        (k, EPOCHS, 3, k - 1) for k in (1, 2, 3, 4)
    ]
    assert [view.memory for view in views] == [{}, {"asked": 1}, {"asked": 2}, {"asked": 3}]
    assert views[1].history[0]["epoch"] == 1 and views[1].allowed["cell"].all()
    np.testing.assert_array_equal(views[2].allowed["cell"], ONE)
    logged = files.read_lines(tmp_path / "search" / "genotypes.jsonl")
    np.testing.assert_allclose(views[0].probs["cell"], logged[0]["probs"]["cell"], atol=1e-6)
    np.testing.assert_allclose(views[2].probs["cell"][0].sum(), 1, rtol=1e-6)  # as if nothing were decided
    assert 0 < views[2].probs["cell"][0, 0] < 1 and logged[2]["probs"]["cell"][0] == [1.0, 0.0]
    assert result.history[1]["arch/decided_edges"] == 1


@pytest.mark.parametrize(
    "masks, told",
    [
        ((ONE, OPEN), "may only close candidates. Received: candidates of cell that were closed"),
        ((OPEN[:1],), r"must give a Decision with masks of \{'cell': \(2, 2\)\}. Received: Decision"),
    ],
)
def test_refuses_decisions_that_open_or_do_not_fit(masks, told, tmp_path):
    with pytest.raises(UserError, match=f"Method.decisions {told}"):
        search(tmp_path, Scripted(masks), actions=())


def test_refuses_what_cannot_be_decided(tmp_path):
    with pytest.raises(UserError, match=r"weights of an edge sum to 1.*Received: relaxation=Sigmoid"):
        method(decisions=GREEDY, relaxation=Sigmoid())
    parts = {"weight_optimizer": method().weight_optimizer, "weight_rate": ConstantRate(0.1)}
    with pytest.raises(UserError, match="SampledPaths takes no decisions: leave it out. Received: decisions="):
        Method(step=SampledPaths(UniformPaths(), UniformImages()), decisions=GREEDY, **parts)
    with pytest.raises(UserError, match="Method.decisions must be a maker of decisions such as @SequentialGreedy"):
        method(decisions="sgas")
    with pytest.raises(UserError, match="2 rounds of decisions need search.epochs of at least 5. Received: first=3"):
        search(tmp_path, SequentialGreedy(first=3, interval=2))
    with pytest.raises(UserError, match="Sharpness measures all logits, but the decisions of this search"):
        search(tmp_path, GREEDY, actions=(Sharpness(),))
    with pytest.raises(UserError, match=f"warmup_epochs must be below epochs = {EPOCHS}"):
        search(tmp_path, None, warmup_epochs=EPOCHS)
    with pytest.raises(UserError, match="warmup_epochs must be below epochs"):
        search(tmp_path, GREEDY, warmup_epochs=EPOCHS + 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_devices_decide_as_one(tmp_path):
    program = Path(__file__).with_name("replicated_decisions.py")
    finish([start(program, tmp_path, log=tmp_path / "log")], [tmp_path / "log"])
    for name in ("perturbation", "greedy"):
        one, two = (outcome(tmp_path / f"{strategy}_{name}") for strategy in ("one", "mirrored"))
        told = [[row.get("decisions") for row in found["history"]] for found in (one, two)]
        places = [[[text.split(" (")[0].split(",")[0] for text in texts or ()] for texts in rows] for rows in told]
        assert places[0] == places[1] and sum(map(len, places[0])) == 2
        assert one["genotype"] == two["genotype"]
        masks = [{k: v for k, v in found["variables"].items() if k.startswith("decisions/")} for found in (one, two)]
        assert masks[0] == masks[1]
