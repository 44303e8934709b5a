"""The estimate of a dry run: which steps it measures, and what it makes of them."""

import pytest
from tiny_search import EPOCHS, STEPS, run, tiny_space

from tf_edd.data import Digits
from tf_edd.edges import AuxiliarySkip
from tf_edd.errors import UserError
from tf_edd.search import plan, search, timing
from tf_edd.search.load_method import load_method
from tf_edd.steps.alternation import Alternation


def rows(text):
    return {line.split("  ")[0].strip(): line.split("  ", 1)[1].strip() for line in text.splitlines() if "  " in line}


def test_the_minutes_are_steps_and_evaluations(tmp_path, monkeypatch):
    """30 s for a step of the weights, 60 s for one of both, 6 s for an evaluated batch: 4 and 8 steps, 12 batches."""
    asked, phases, call = iter([60.0, 30.0, 6.0]), [], Alternation.__call__

    def spied(self, batches, info):
        phases.append(info.phases)
        return call(self, batches, info)

    def measured(function):
        function()
        return next(asked)

    monkeypatch.setattr(Alternation, "__call__", spied)
    monkeypatch.setattr(timing, "_mean_seconds", measured)
    text = run(tmp_path / "run", warmup_epochs=1, dry_run="timed")
    minutes = (30 * STEPS + 60 * (EPOCHS - 1) * STEPS + 6 * EPOCHS * 4) / 60
    assert minutes == 11.2
    assert rows(text)["time"].startswith("about 11 min: 60 s a step (from 3 measured steps")
    assert phases == [("weights", "arch"), ("weights",)]
    assert not (tmp_path / "run").exists()


def test_sampled_paths_are_timed_too(tmp_path):
    method = load_method("recipes/nb201_shallow.gin", "methods/spos.gin", epochs=2, num_validated_paths=1)
    parts = {"data": Digits(), "method": method, "epochs": 2, "batch_size": 16, "split": (32, 32)}
    text = search.search(tmp_path / "run", space=tiny_space(), dry_run="timed", steps_per_epoch=10, **parts)
    assert "s a step" in rows(text)["time"] and "warning" not in rows(text)


def test_what_surrounds_the_edges_is_timed_too(tmp_path):
    text = run(tmp_path / "run", edges=(AuxiliarySkip(),), dry_run="timed")
    assert "s a step" in rows(text)["time"] and not (tmp_path / "run").exists()


def test_a_plain_dry_run_measures_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(plan.SearchPlan, "build", None)
    assert rows(run(tmp_path / "run", dry_run=True))["time"].startswith("not measured")
    with pytest.raises(UserError, match="dry_run must be one of False, True, 'timed'. Received: dry_run='yes'"):
        run(tmp_path / "run", dry_run="yes")


def test_few_steps_are_warned_of(tmp_path, monkeypatch):
    assert rows(run(tmp_path, dry_run=True))["warning"].startswith(f"{EPOCHS * STEPS} steps of the logits are few")
    monkeypatch.setattr(plan, "FEW_STEPS", EPOCHS * STEPS)
    assert "warning" not in rows(run(tmp_path, dry_run=True))


def test_passes_over_the_images_are_told_where_epochs_do_not(tmp_path):
    text = run(tmp_path, steps_per_epoch=6, epochs=2, split=(64, 48), dry_run=True)
    assert rows(text)["steps"] == "2 epochs x 6 steps of 16 + 16 images (3 and 4 passes over each split)"
