"""Retraining: exact resume, what a resume compares, which network is the best, errors, replicas."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_retraining import InterruptedRate, branched, run, weights

from tf_edd.data import Crop, Cutout, Digits
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.runtime import files
from tf_edd.runtime.strategy import configure
from tf_edd.schedules import CosineRate
from tf_edd.training.evaluate import evaluate
from tf_edd.training.export import export
from tf_edd.training.records import load_network
from tf_edd.training.train_step import TrainStep

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder, valid=0.1)


@pytest.fixture
def deterministic():
    configure(precision=None, deterministic=True)
    yield
    configure(precision=None)


def test_continued_with_auxiliary_head_and_drop_path_is_bit_identical(deterministic, tmp_path):
    straight = branched(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        branched(tmp_path / "resumed", rate=InterruptedRate(1, CosineRate(0.1, 2)))
    resumed = branched(tmp_path / "resumed")
    assert resumed["last"]["loss/train"] == straight["last"]["loss/train"]
    for one, other in zip(weights(tmp_path / "resumed"), weights(tmp_path / "straight"), strict=True):
        np.testing.assert_array_equal(one, other)
    # dropped with probability 0.6 e / 2: nothing in the first epoch, something in the second
    plain = branched(tmp_path / "plain", drop_path_rate=0.0)
    losses = [
        [row["loss/train"] for row in files.read_lines(tmp_path / name / "retrain" / "history.jsonl")]
        for name in ("straight", "plain")
    ]
    assert losses[0][0] == losses[1][0] and losses[0][1] > losses[1][1]
    assert plain["parameters"] == straight["parameters"]


@pytest.mark.slow
def test_the_auxiliary_head_is_neither_saved_nor_exported(tmp_path):
    results = branched(tmp_path, epochs=1)
    network = load_network(tmp_path / "retrain" / "best")
    assert len(network.outputs) == 1
    assert sum(int(np.prod(value.shape)) for value in network.trainable_weights) == results["parameters"]
    assert evaluate(tmp_path, data=Digits())["accuracy"] == pytest.approx(results["best"]["accuracy/test"])
    export(tmp_path, data=Digits(), check_images=50)
    reloaded = files.read_json(tmp_path / "export" / "model_card.json")["reloaded"]
    assert reloaded["max_logit_difference"] <= 1e-4 and not reloaded["imported_tf_edd"]


def test_learns_and_writes_everything(whole):
    folder, results = whole
    assert results["last"]["loss/train"] < results["best"]["loss/train"] or results["best_epoch"] == 3
    assert results["last"]["accuracy/train"] > 0.5
    written = files.read_json(folder / "retrain" / "results.json")
    assert written["parameters"] == results["parameters"] and written["images"]["valid"] == 143
    names = {path.name for path in (folder / "retrain").iterdir()}
    assert {
        "genotype.json",
        "curves.png",
        "history.jsonl",
        "train",
        "valid",
        "test",
        "best",
        "last",
        "checkpoint",
    } <= names
    assert len(files.read_lines(folder / "retrain" / "history.jsonl")) == 3


def test_scalars_are_on_tensorboard(whole):
    folder, results = whole
    found = {}
    for path in (folder / "retrain").glob("*/events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("_hparams_") or value.tag == "retrain/outcome":
                    continue
                found[path.parent.name, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    np.testing.assert_allclose(found["valid", "accuracy/retrain", 3], results["last"]["accuracy/valid"], rtol=1e-6)
    assert {("train", "loss/retrain", 1), ("train", "retrain/learning_rate", 2)} <= set(found)
    assert ("test", "accuracy/retrain", results["best_epoch"]) in found


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_interrupted_and_continued_is_bit_identical(whole, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, valid=0.1, rate=InterruptedRate(finished))
    results = run(tmp_path, valid=0.1)
    for which in ("best", "last"):
        for resumed, straight in zip(weights(tmp_path, which), weights(whole[0], which), strict=True):
            np.testing.assert_array_equal(resumed, straight)
    assert results["best_epoch"] == whole[1]["best_epoch"]
    assert results["last"]["loss/train"] == whole[1]["last"]["loss/train"]


def test_a_finished_training_is_not_overwritten(whole):
    with pytest.raises(UserError, match="finished"):
        run(whole[0], valid=0.1)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"label_smoothing": 0.1}, "recipe.label_smoothing: started with 0.0, received 0.1"),
        ({"weight_gradient_clip": 5.0}, "recipe.weight_gradient_clip: started with None, received 5.0"),
        (
            {"optimizer": SGD(nesterov=True, weight_decay=3e-4)},
            "recipe.optimizer.weight_decay: started with 0.0005, received 0.0003",
        ),
        ({"augmentation": (Crop(2),)}, "augmentation.0.padding: started with 1, received 2"),
        ({"extra_augmentation": (Cutout(2),)}, "augmentation.1: started with nothing, received 'Cutout'"),
        ({"seed": 1}, "seed: started with 0, received 1"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(interrupted, changes, difference):
    with pytest.raises(UserError) as raised:
        run(interrupted, **changes)
    assert f"  {difference}" in str(raised.value).splitlines()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainStep, "begin", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        run(folder)
    return folder


def test_an_optimizer_serves_for_two_trainings(tmp_path):
    optimizer = SGD(nesterov=True, weight_decay=5e-4)
    for name in ("one", "two"):
        run(tmp_path / name, optimizer=optimizer, epochs=1, batch_size=512)
    for one, two in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_a_held_out_part_the_last_is_the_best(tmp_path):
    results = run(tmp_path, epochs=1)
    assert results["best_epoch"] == 1 and results["images"] == {"train": 1438, "valid": 0}
    for best, last in zip(weights(tmp_path, "best"), weights(tmp_path, "last"), strict=True):
        np.testing.assert_array_equal(best, last)


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(tmp_path):
    def rate(epoch):
        return 0.1 if epoch == 0 else 1e39  # beyond float32

    with pytest.raises(UserError, match="not finite in epoch 2. The checkpoint of epoch 1 is kept"):
        run(tmp_path, rate=rate)
    assert [path.name for path in (tmp_path / "retrain").glob("*.index")] == ["ckpt-11.index"]
    assert not (tmp_path / "retrain" / "results.json").exists()


def test_weights_that_are_not_finite_after_the_last_step_are_not_checkpointed(tmp_path):
    """With one step an epoch the loss of the epoch is finite, for it comes before the update."""
    with pytest.raises(UserError, match="weights not finite in epoch 1. No epoch was finished"):
        run(tmp_path, batch_size=1438, rate=lambda epoch: 1e39)  # beyond float32
    assert not list((tmp_path / "retrain").glob("*.index"))


ON_REPLICAS = """
import sys
from tf_edd.runtime.strategy import disable_meta_optimizer, make_strategy, use_logical_cpus
use_logical_cpus(2)
disable_meta_optimizer()
from tf_edd.optimizers import SGD
from tf_edd.schedules import ConstantRate
from tiny_retraining import branched, run
settings = {"rate": ConstantRate(0.01), "batch_size": 512, "weight_gradient_clip": 1.0}
for name, epochs in (("one", (1,)), ("mirrored", (1, 2))):
    with make_strategy(name).scope():
        run(f"{sys.argv[1]}/{name}", augmentation=(), optimizer=SGD(), epochs=1, **settings)
        for count in epochs:
            branched(f"{sys.argv[1]}/{name}_{count}", epochs=count, **settings)
"""


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    """Retrainings on one device and on two, in a process of their own: the CPU is split before TensorFlow is used."""
    folder, path = tmp_path_factory.mktemp("replicas"), os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    command = [sys.executable, "-c", ON_REPLICAS, str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
    return folder


@pytest.mark.slow
def test_two_replicas_equal_one(replicated):
    one, two = (files.read_json(replicated / name / "retrain" / "results.json") for name in ("one", "mirrored"))
    np.testing.assert_allclose(one["last"]["loss/train"], two["last"]["loss/train"], rtol=1e-5)
    np.testing.assert_allclose(one["last"]["loss/test"], two["last"]["loss/test"], rtol=1e-4)
    for single, pair in zip(weights(replicated / "one"), weights(replicated / "mirrored"), strict=True):
        np.testing.assert_allclose(single, pair, atol=1e-5)


@pytest.mark.slow
def test_two_replicas_equal_one_with_auxiliary_head_and_drop_path(replicated):
    """Dropped with probability 0 in the first epoch; in the second, replicas draw masks of their own."""
    folders = [replicated / name / "retrain" for name in ("one_1", "mirrored_1", "mirrored_2")]
    one, two, dropped = (files.read_lines(folder / "history.jsonl") for folder in folders)
    for tag, value in one[0].items():
        if tag.startswith(("loss/", "accuracy/")):
            np.testing.assert_allclose([two[0][tag], dropped[0][tag]], value, rtol=1e-4, err_msg=tag)
    for single, pair in zip(weights(replicated / "one_1"), weights(replicated / "mirrored_1"), strict=True):
        np.testing.assert_allclose(single, pair, rtol=0, atol=1e-5)
    assert math.isfinite(dropped[1]["loss/train"])
    assert all(np.isfinite(value).all() for value in weights(replicated / "mirrored_2"))
