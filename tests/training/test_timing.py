"""The estimate of a dry run: steps and evaluations by hand, and measured steps."""

import pytest
from gin_files import black
from tiny_retraining import CELL, run

from tf_edd.spaces import nas_bench_201
from tf_edd.training import timing
from tf_edd.training.plan import RetrainPlan
from tf_edd.training.recipe import TrainingRecipe


def planned(**changes):
    """60 epochs of 100 steps of 64 images; 200 test images, which are four batches."""
    parts = {"space": nas_bench_201(4, 1), "data": black(200, 8), "recipe": TrainingRecipe(), "augmentation": ()}
    numbers = {"epochs": 60, "batch_size": 64, "steps_per_epoch": 100, "valid": 0.0, "seed": 0, "data_dir": None}
    return RetrainPlan.make("nowhere", CELL, **parts, **{**numbers, **changes})


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 60 * 100 + 60 * 4 / 3),  # the test split in each epoch
        ({"valid": 70}, 60 * 100 + (60 * 2 + 2 * 4) / 3),  # two batches in each epoch, the test split twice
        ({"steps_per_epoch": None}, 60 * 3 + 60 * 4 / 3),
    ],
)
def test_minutes_are_those_of_steps_and_evaluations(monkeypatch, changes, steps):
    monkeypatch.setattr(timing, "_measure", lambda plan, images: (0.5, 7))
    told = timing.estimate(planned(**changes))
    minutes = 0.5 * steps / 60
    assert told["minutes"] == (f"about {minutes:.0f}" if minutes >= 1 else "less than 1")
    assert told["seconds_per_step"] == "0.5 (from 7 measured steps, on random images)"


def test_a_large_step_is_measured_with_fewer_images(monkeypatch):
    plan = planned()
    monkeypatch.setattr(timing, "MULTIPLY_ADDS", 16.5 * plan.sizes["multiply_adds"])
    monkeypatch.setattr(timing, "_measure", lambda plan, images: (0.01 * images, 7))
    assert timing.estimate(plan)["seconds_per_step"] == "0.64 (from 7 measured steps of 16 images, on random images)"


def test_a_huge_network_is_measured_with_one_image(monkeypatch):
    monkeypatch.setattr(timing, "MULTIPLY_ADDS", 1)
    assert timing._measured_images(planned()) == 1


def test_a_dry_run_measures_steps_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "MOST_STEPS", 2)
    told = run(tmp_path / "run", drop_path_rate=0.2, dry_run="timed")
    assert "(from 2 measured steps, on random images)" in told["seconds_per_step"] and told["minutes"] == "less than 1"
    assert float(told["seconds_per_step"].split()[0]) > 0 and not list(tmp_path.iterdir())
    assert told.keys() - run(tmp_path / "run", drop_path_rate=0.2, dry_run=True).keys() == {
        "seconds_per_step",
        "minutes",
    }


def test_several_workers_measure_nothing(monkeypatch):
    monkeypatch.setattr(timing, "has_workers", lambda strategy: True)
    assert timing.estimate(planned()) == {}
