"""tf_edd.search.search: what the loop records, checked against independent computations; resumes that are refused."""

import copy
import dataclasses
import math

import keras
import numpy as np
import pytest
from tiny_search import BATCH, EPOCHS, STEPS, Stop, StopAt, method, outcome, run, tiny_space

from tf_edd.actions import Action, CollapseWarning, GenotypeLog
from tf_edd.analysis import counting
from tf_edd.data import Digits
from tf_edd.edges import AuxiliarySkip, EdgeDropPath, PartialChannels
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.schedules import CosineRate, EntropyDecay
from tf_edd.spaces import darts_imagenet

TAGS = {
    *("loss/weights", "loss/arch", "loss/valid", "accuracy/train", "accuracy/valid", "accuracy/discretized"),
    *("arch/entropy", "arch/entropy_cell", "arch/temperature", "arch/exp_increment", "arch/exp_temperature"),
    *("arch/logit_gradient_norm", "arch/skip_count", "arch/none_count", "arch/noise_count"),
    *("arch/skip_count_cell", "arch/none_count_cell", "arch/noise_count_cell"),
    *("speed/images_per_second", "speed/seconds"),
}


class Spy(Action):
    """An action that remembers what it saw."""

    def __init__(self):
        self.logits, self.probs, self.rows, self.calls = [], [], [], []

    def begin(self, state):
        self.calls.append("begin")
        return self

    def epoch(self, state, metrics):
        self.calls.append(state.epoch)
        self.logits.append(copy.deepcopy(state.logits["cell"]))
        self.probs.append(copy.deepcopy(state.probs["cell"]))
        self.rows.append(dict(state.history[-1]))

    def end(self, state):
        self.calls.append("end")
        self.last = state.probs["cell"], state.logits["cell"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of four epochs whose first epoch moves the weights alone."""
    spy, folder = Spy(), tmp_path_factory.mktemp("searched")
    result = run(folder, epochs=4, warmup_epochs=1, actions=(spy,))
    return spy, result, folder


def test_actions_are_called_in_order_and_every_tag_is_there(searched):
    spy, _, _ = searched
    assert spy.calls == ["begin", 1, 2, 3, 4, "end"]
    for row in spy.rows[1:]:
        assert row.keys() >= TAGS and all(math.isfinite(row[tag]) for tag in TAGS)
    assert TAGS - spy.rows[0].keys() == {"loss/arch", "arch/logit_gradient_norm"}  # the warmup


def test_the_warmup_leaves_the_logits(searched):
    spy, _, _ = searched
    drawn = 1e-3 * np.random.default_rng(np.random.SeedSequence([3, 0xA])).standard_normal((2, 2))
    np.testing.assert_array_equal(spy.logits[0], drawn.astype(np.float32))
    assert np.abs(spy.logits[1] - spy.logits[0]).max() > 1e-3


def test_temperatures_are_those_of_algorithm_2_fed_with_the_recorded_entropies(searched):
    spy, _, _ = searched
    expected_logit, gain, momentum = 1e-3 / math.sqrt(2 * math.pi), 0.06, 0.5
    temperatures, decay = [1.0, 1.0], 0.0  # the warmup, and the first one of the schedule
    for k, row in enumerate(spy.rows[1:-1], start=1):
        decay = gain * (1 - momentum) * row["arch/entropy"] + momentum * decay
        temperatures.append(expected_logit / math.log(math.exp(expected_logit) + k * decay))
        assert row["arch/exp_increment"] == pytest.approx(decay, rel=1e-12)
    np.testing.assert_allclose([row["arch/temperature"] for row in spy.rows], temperatures, rtol=1e-9)
    assert temperatures[-1] < 0.1  # or the comparison says little


def test_probabilities_entropy_and_genotype_follow_from_the_logits(searched):
    spy, result, _ = searched
    for logits, probs, row in zip(spy.logits, spy.probs, spy.rows, strict=True):
        exponents = np.float64(logits) / row["arch/temperature"]
        expected = np.exp(exponents - exponents.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
        np.testing.assert_allclose(probs, expected, rtol=1e-4, atol=1e-7)
        entropy = -(expected * np.log(np.maximum(expected, 1e-300))).sum(1).mean()
        assert row["arch/entropy"] == pytest.approx(entropy, rel=1e-4, abs=1e-6)
        operations = [tiny_space().cells[0].edges[0].primitives[best] for best in expected.argmax(1)]
        assert row["genotype"] == f"|{operations[0]}~0|+|{operations[1]}~1|"
        assert row["arch/skip_count"] == row["arch/skip_count_cell"] == operations.count("skip_connect")
    assert str(result.genotype) == spy.rows[-1]["genotype"]


def test_the_result_files(searched):
    spy, result, folder = searched
    assert files.read_json(folder / "search" / "genotype.json") == result.genotype.to_json()
    results = files.read_json(folder / "search" / "results.json")
    assert (
        results["genotype"] == str(result.genotype) and results["metrics"]["loss/valid"] == spy.rows[-1]["loss/valid"]
    )


def test_the_result_is_returned(searched):
    spy, result, folder = searched
    assert result.folder == folder / "search" and list(result.history) == spy.rows


def test_a_finished_search_is_refused_and_nothing_changes(searched):
    folder = searched[2]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(UserError, match="is finished"):
        run(folder, epochs=4)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UserError, match="other files .thesis.tex"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_the_seed_decides_whatever_was_drawn_before_and_overwrite_starts_anew(tmp_path):
    run(tmp_path / "a", epochs=1)
    keras.utils.set_random_seed(99)
    run(tmp_path / "b", epochs=1, seed=4)
    first, other = outcome(tmp_path / "a"), outcome(tmp_path / "b")
    assert first["variables"].keys() == other["variables"].keys()
    differing = [name for name, value in first["variables"].items() if other["variables"][name] != value]
    assert any(name.startswith("logits") for name in differing)
    assert any(name.startswith("supernet") for name in differing)
    run(tmp_path / "b", epochs=1, overwrite=True)
    assert outcome(tmp_path / "b") == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes, told",
    [
        ({"epochs": EPOCHS + 1}, f"  epochs: started with {EPOCHS}, received {EPOCHS + 1}"),
        ({"seed": 5}, "  seed: started with 3, received 5"),
        ({"batch_size": 2 * BATCH}, f"  batch_size: started with {BATCH}, received {2 * BATCH}"),
        (
            {"temperature": EntropyDecay(entropy_gain=0.12)},
            "  method.temperature.entropy_gain: started with 0.06, received 0.12",
        ),
    ],
)
def test_another_configuration_is_refused_with_the_difference(tmp_path, changes, told):
    with pytest.raises(Stop):
        run(tmp_path, actions=(StopAt("begin"),))
    with pytest.raises(UserError) as error:
        run(tmp_path, **changes)
    assert told in str(error.value).splitlines(), error.value


@pytest.mark.slow
def test_a_search_continues_with_other_actions(tmp_path):
    """They see the search and decide no number of it."""
    with pytest.raises(Stop):
        run(tmp_path, actions=(StopAt("epoch", 2),))
    result = run(tmp_path, actions=(GenotypeLog(), CollapseWarning()))
    assert [row["epoch"] for row in result.history] == list(range(1, EPOCHS + 1))


def test_a_method_serves_two_searches(tmp_path):
    one = method(weight_rate=CosineRate(0.1, 1))
    for name in ("a", "b"):
        run(tmp_path / name, epochs=1, method=one)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert not one.weight_optimizer.built and not one.arch_optimizer.built


class Measure(Action):
    """Adds a metric."""

    def measure(self, state):
        return {"extra/epoch": float(state.epoch)}


class Reader(Action):
    """Keeps the metrics that an action is called with."""

    def __init__(self):
        self.seen = []

    def epoch(self, state, metrics):
        self.seen.append((metrics["extra/epoch"], state.history[-1]["extra/epoch"]))


@pytest.mark.parametrize("reversed_order", [False, True])
def test_what_an_action_measures_reaches_all_whatever_their_order(tmp_path, reversed_order):
    actions = (Measure(), reader := Reader())
    result = run(tmp_path, epochs=2, actions=actions[::-1] if reversed_order else actions)
    assert reader.seen == [(1.0, 1.0), (2.0, 2.0)]
    assert [row["extra/epoch"] for row in result.history] == [1.0, 2.0]


def test_a_single_split_is_drawn_twice(tmp_path):
    spy = Spy()
    run(tmp_path, epochs=1, split=(STEPS * BATCH, None), actions=(spy,))
    record = files.read_json(tmp_path / "search" / "record.json")["splits"]
    assert record["train"] == STEPS * BATCH and record["valid"] is None
    # other batches of the same images in the two phases
    assert spy.rows[0]["loss/weights"] != spy.rows[0]["loss/arch"]


def test_rematerialization_changes_nothing(tmp_path):
    losses = []
    for rematerialize in (False, True):
        folder = tmp_path / str(rematerialize)
        run(folder, epochs=1, rematerialize=rematerialize)
        losses.append(outcome(folder)["history"][0])
    for tag in ("loss/weights", "loss/arch", "loss/valid", "arch/logit_gradient_norm"):
        np.testing.assert_allclose(losses[1][tag], losses[0][tag], rtol=1e-5, err_msg=tag)


def test_dry_run_tells_the_composition_and_writes_nothing(tmp_path):
    folder = tmp_path / "run"
    text = run(folder, warmup_epochs=1, dry_run=True)
    rows = {line.split("  ")[0].strip(): line.split("  ", 1)[1].strip() for line in text.splitlines()}
    assert rows["steps"] == f"{EPOCHS} epochs x {STEPS} steps of {BATCH} + {BATCH} images"
    assert rows["warmup"] == f"the weights alone in the first {STEPS} steps"
    assert rows["space"].startswith("tiny, 4 architectures") and " MiB per replica" in rows["activations"]
    assert rows["classes"].startswith("0: 142, 1: 146, ") and rows["test images"] == "359"  # of 178, 182, 1797 digits
    assert not folder.exists()


def test_what_surrounds_the_candidates_is_in_the_description_and_checked(tmp_path):
    lines = run(tmp_path / "run", edges=(PartialChannels(2), AuxiliarySkip()), dry_run=True).splitlines()
    # stem 9 * 4 with its batch norm, two 1x1 convolutions on half of 4 channels, head with batch norm
    assert {" ".join(line.split()) for line in lines} >= {
        "edges PartialChannels(groups=2), AuxiliarySkip(initial=1.0, decay='linear')",
        f"supernet {9 * 4 + 8 + 2 * 2 * 2 + 8 + 4 * 10 + 10} parameters",
    }
    for dry_run in (True, False):
        with pytest.raises(UserError, match="PartialChannels expects cells whose channels are a multiple of 3"):
            run(tmp_path / "run", edges=(PartialChannels(3),), dry_run=dry_run)
    assert not (tmp_path / "run").exists()


def test_what_surrounds_the_candidates_is_measured(tmp_path):
    """At the end of each of two epochs: 8 (1 - p), and 0.4 p."""
    result = run(tmp_path, epochs=2, edges=(AuxiliarySkip(8.0), EdgeDropPath(0.4)))
    assert [row["arch/auxiliary_weight"] for row in result.history] == pytest.approx([4.0, 0.0])
    assert [row["arch/drop_path"] for row in result.history] == pytest.approx([0.2, 0.4])


def test_dry_run_counts_in_readable_units(tmp_path, monkeypatch):
    data = dataclasses.replace(Digits().load(), notes=("one note", "another"))
    monkeypatch.setattr(counting, "activation_memory", lambda *given: 3 * 2**30)
    text = run(tmp_path, data=data, epochs=1, split=(BATCH, BATCH), dry_run=True)
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {f"steps 1 epoch x 1 step of {BATCH} + {BATCH} images", "files one note", "another"} <= lines
    assert any(line.startswith("activations about 3.00 GiB per replica") for line in lines)


@pytest.mark.parametrize("dry_run", [True, False])
def test_images_too_small_for_the_network_are_refused_before_anything_is_written(tmp_path, dry_run):
    """Five halvings of the digits' 8x8 pixels."""
    with pytest.raises(UserError, match="by 32.*32x32 pixels. Received: images of 8x8"):
        run(tmp_path / "run", space=darts_imagenet(4, 3), dry_run=dry_run)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes, told",
    [
        (
            {"batch_size": 65},
            r"search.batch_size must fit into every split \(64 images for weights, 64 images for arch\)",
        ),
        ({"batch_size": 0}, "batch_size=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"warmup_epochs": EPOCHS}, f"warmup_epochs={EPOCHS}"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1"),
        ({"entropy_temperature": 0.0}, "entropy_temperature=0.0"),
        ({"checkpoint_steps": -1}, "checkpoint_steps=-1"),
        ({"split": (1400, 1400)}, "must not exceed the 1438 images"),
    ],
)
def test_numbers_out_of_range(tmp_path, changes, told):
    with pytest.raises(UserError, match=told):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
