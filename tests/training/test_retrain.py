"""Retraining: the loss, exact resume, which network is the best, errors, replicas."""

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.data import ImageData, crop, cutout, digits
from tf_edd.data.normalisation import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.errors import UserError
from tf_edd.optimizers.optimizers import sgd
from tf_edd.runtime import files
from tf_edd.schedules.learning_rate import cosine_rate
from tf_edd.spaces import Block, Space, darts, darts_imagenet, nas_bench_201
from tf_edd.spaces.nas_bench_201 import CELL as CELL_SPEC
from tf_edd.training.evaluate import evaluate
from tf_edd.training.export import export
from tf_edd.training.records import RetrainState, draw_curves, load_network
from tf_edd.training.retrain import retrain
from tf_edd.training.train_step import TrainStep, smoothed_cross_entropy

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
ROOT = Path(__file__).resolve().parents[1]


def run(folder, **changes):
    arguments = {
        "space": nas_bench_201(4, 1),
        "data": digits,
        "optimizer": sgd(nesterov=True, weight_decay=5e-4),
        "rate": cosine_rate(0.1, 0.0, 3),
        "epochs": 3,
        "batch_size": 128,
        "augmentation": (crop(1),),
    }
    return retrain(folder, CELL, **{**arguments, **changes})


def weights(folder, which="last"):
    return load_network(Path(folder) / "retrain" / which).get_weights()


def interrupted_after(epochs):
    """A rate that is interrupted when the next epoch begins."""
    rate = cosine_rate(0.1, 0.0, 3)

    def interrupting(epoch):
        if epoch == epochs:
            raise KeyboardInterrupt
        return rate(epoch)

    return interrupting


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder, valid=0.1)


def test_smoothed_cross_entropy_by_its_definition():
    logits = np.random.default_rng(0).normal(size=(6, 4))
    labels = np.array([0, 1, 2, 3, 0, 1])
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for smoothing in (0.0, 0.1):
        target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
        losses = smoothed_cross_entropy(tf.constant(labels, tf.int32), tf.constant(logits, tf.float32), smoothing)
        np.testing.assert_allclose(losses, -(target * log_probs).sum(-1), rtol=1e-5)


def test_step_follows_the_gradient_of_a_linear_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    kernel = model.trainable_variables[0].numpy().astype(np.float64)
    x, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])
    step = TrainStep(model, sgd(momentum=0.0, weight_decay=0.0), clip=None)
    step.optimizer.learning_rate = 0.5
    scalars = step(tf.constant(x, tf.float32), tf.constant(labels, tf.int32))
    probs = np.exp(x @ kernel) / np.exp(x @ kernel).sum(-1, keepdims=True)
    gradient = x.T @ (probs - np.eye(2)[labels]) / 4
    np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.5 * gradient, rtol=1e-4)
    np.testing.assert_allclose(scalars["loss/train"], -np.log(probs[range(4), labels]).mean(), rtol=1e-5)


def test_step_weighs_the_side_branch():
    images = keras.Input((3,))
    branches = [keras.layers.Dense(2, use_bias=False, name=name)(images) for name in ("main", "side")]
    model = keras.Model(images, branches)
    main, side = (variable.numpy().astype(np.float64) for variable in model.trainable_variables)
    x, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])
    step = TrainStep(model, sgd(momentum=0.0, weight_decay=0.0), 0.1, auxiliary_weight=0.4)
    step.begin(0, 0.5)
    scalars = step(tf.constant(x, tf.float32), tf.constant(labels, tf.int32))
    target, loss = 0.9 * np.eye(2)[labels] + 0.05, 0.0
    for kernel, weight, after in zip((main, side), (1.0, 0.4), model.trainable_variables, strict=True):
        probs = np.exp(x @ kernel) / np.exp(x @ kernel).sum(-1, keepdims=True)
        loss -= weight * (target * np.log(probs)).sum(-1).mean()
        np.testing.assert_allclose(after, kernel - 0.5 * weight * x.T @ (probs - target) / 4, rtol=1e-4)
    np.testing.assert_allclose(scalars["loss/train"], loss, rtol=1e-5)


def branched(folder, **changes):
    """A network with a side branch on maps of 8x8 and drop path, which the recipe of the DARTS space has too."""
    cells = [Block("cell", 4, cell=CELL_SPEC.kind), Block("auxiliary_cifar", 8), Block("cell", 4, cell=CELL_SPEC.kind)]
    space = Space("branched", (CELL_SPEC,), (Block("stem", 4), *cells, Block("classifier", 4)))
    arguments = {"space": space, "auxiliary_weight": 0.4, "drop_path_rate": 0.6, "deterministic": True}
    return run(folder, **{**arguments, "extra_augmentation": (cutout(2),), "epochs": 2, **changes})


def test_continued_with_side_branch_and_drop_path_is_bit_identical(tmp_path):
    straight = branched(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        branched(tmp_path / "resumed", rate=interrupted_after(1))
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
def test_the_side_branch_is_neither_saved_nor_exported(tmp_path):
    results = branched(tmp_path, epochs=1)
    network = load_network(tmp_path / "retrain" / "best")
    assert len(network.outputs) == 1
    assert sum(int(np.prod(value.shape)) for value in network.trainable_weights) == results["parameters"]
    assert evaluate(tmp_path, data=digits)["accuracy"] == pytest.approx(results["best"]["accuracy/test"])
    reloaded = export(tmp_path, data=digits, check_images=50)["reloaded"]
    assert reloaded["max_logit_difference"] <= 1e-4 and not reloaded["imported_tf_edd"]


def test_learns_and_writes_everything(whole):
    folder, results = whole
    assert results["last"]["loss/train"] < results["best"]["loss/train"] or results["best_epoch"] == 3
    assert results["last"]["accuracy/train"] > 0.5
    written = files.read_json(folder / "retrain" / "results.json")
    assert written["parameters"] == results["parameters"] and written["images"]["valid"] == 143
    names = {path.name for path in (folder / "retrain").iterdir()}
    assert {"genotype.json", "curves.png", "history.jsonl", "train", "eval", "best", "last", "checkpoint"} <= names
    assert len(files.read_lines(folder / "retrain" / "history.jsonl")) == 3


def test_scalars_are_on_tensorboard(whole):
    folder, results = whole
    found = {}
    for path in (folder / "retrain").glob("*/events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[path.parent.name, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    np.testing.assert_allclose(found["eval", "accuracy/valid", 3], results["last"]["accuracy/valid"], rtol=1e-6)
    assert {("train", "loss/train", 1), ("train", "learning_rate", 2), ("eval", "accuracy/test", 3)} <= set(found)


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_interrupted_and_continued_is_bit_identical(whole, finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, valid=0.1, rate=interrupted_after(finished))
    results = run(tmp_path, valid=0.1)
    for which in ("best", "last"):
        for resumed, straight in zip(weights(tmp_path, which), weights(whole[0], which), strict=True):
            np.testing.assert_array_equal(resumed, straight)
    assert results["best_epoch"] == whole[1]["best_epoch"]
    assert results["last"]["loss/train"] == whole[1]["last"]["loss/train"]


def test_a_finished_training_is_not_overwritten(whole):
    with pytest.raises(UserError, match="finished"):
        run(whole[0], valid=0.1)


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, rate=interrupted_after(1))
    with pytest.raises(UserError, match=r"label_smoothing: 0.1"):
        run(tmp_path, label_smoothing=0.1)


def test_best_is_by_accuracy_then_loss():
    state = RetrainState()
    taken = []
    for state.epoch, pair in enumerate([(0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.5, 0.95), (0.6, 3.0)], start=1):
        taken.append(state.take_best(*pair))
    assert taken == [True, True, False, False, True] and state.best_epoch == 5
    copy = RetrainState()
    copy.load_state_dict(json.loads(json.dumps(state.state_dict())))
    assert copy == state


def test_without_a_held_out_part_the_last_is_the_best(tmp_path):
    results = run(tmp_path, epochs=1)
    assert results["best_epoch"] == 1 and results["images"] == {"train": 1438, "valid": 0}
    for best, last in zip(weights(tmp_path, "best"), weights(tmp_path, "last"), strict=True):
        np.testing.assert_array_equal(best, last)


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(tmp_path):
    def rate(epoch):
        return 0.1 if epoch == 0 else math.inf

    with pytest.raises(UserError, match="not finite in epoch 2. The checkpoint of epoch 1 is kept"):
        run(tmp_path, rate=rate)
    assert [path.name for path in (tmp_path / "retrain").glob("*.index")] == ["ckpt-11.index"]
    assert not (tmp_path / "retrain" / "results.json").exists()


def test_weights_that_are_not_finite_after_the_last_step_are_not_checkpointed(tmp_path):
    """With one step an epoch the loss of the epoch is finite, for it comes before the update."""
    with pytest.raises(UserError, match="weights not finite in epoch 1. No epoch was finished"):
        run(tmp_path, batch_size=1438, rate=lambda epoch: math.inf)
    assert not list((tmp_path / "retrain").glob("*.index"))


def test_dry_run_tells_sizes_and_writes_nothing(tmp_path):
    plan = run(tmp_path / "run", dry_run=True)
    assert plan["steps_per_epoch"] == 11 and plan["steps"] == 33 and plan["parameters"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5000}, "batch_size must not exceed the 1438 images"),
        ({"epochs": 0}, "epochs"),
        ({"valid": 1.5}, "valid"),
        ({"valid": 1438}, "valid"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"weight_gradient_clip": 0.0}, "weight_gradient_clip"),
        ({"drop_path_rate": 1.0}, "drop_path_rate"),
        ({"auxiliary_weight": -0.1}, "auxiliary_weight"),
        ({"auxiliary_weight": 0.4}, "no auxiliary head"),
    ],
)
def test_refuses_values_out_of_range(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_without_a_search_the_genotype_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="genotype"):
        retrain(tmp_path, None, space=nas_bench_201(), data=digits, optimizer=sgd(), rate=abs, epochs=1, batch_size=9)


def black(side, classes):
    """Images that nobody looks at."""
    source = ArraySource(np.zeros((200, side, side, 3), np.uint8), np.arange(200) % classes)
    names = [str(label) for label in range(classes)]
    images = ImageData.from_sources("black", source, source, names, Moments((0.0,) * 3, (1.0,) * 3))
    return lambda data_dir: images


def plan(space, data, genotype="DARTS_V2", **changes):
    arguments = {"optimizer": sgd(), "rate": cosine_rate(0.1, 0.0, 3), "epochs": 3, "batch_size": 100}
    return retrain("nowhere", genotype, space=space, data=data, dry_run=True, **{**arguments, **changes})


@pytest.mark.parametrize(
    ("space", "side", "classes", "parameters"),
    [
        (darts(36, 20), 32, 10, 3_349_342),
        (darts(36, 20), 32, 100, 3_349_342 + 90 * (4 * 144 + 1)),
        (darts_imagenet(48, 14), 224, 1000, 4_718_752),
    ],
)
def test_a_cell_moves_to_other_data(space, side, classes, parameters):
    """Sizes of methods.md 6.2; of the classifier, which reads 4 x 144 channels, each class has its own column."""
    assert plan(space, black(side, classes))["parameters"] == parameters


def test_refuses_what_cannot_move():
    with pytest.raises(UserError, match="space 'nas_bench_201'. Received: one of space 'darts'"):
        plan(nas_bench_201(), black(32, 10))
    with pytest.raises(UserError, match="reduces the sides of its images by 32.*32x32 pixels. Received: images of 8x8"):
        plan(darts_imagenet(), black(8, 10))


@pytest.mark.parametrize(
    ("space", "genotype", "side", "told"),
    [
        (darts(), "DARTS_V2", 16, "reads maps of 8x8.*Received: maps of 4x4 from images of 16x16"),
        (darts_imagenet(), "DARTS_V2", 32, "reads maps of 7x7.*Received: maps of 1x1 from images of 32x32"),
        (nas_bench_201(), CELL, 32, "'nas_bench_201' has no auxiliary head"),
    ],
)
def test_a_plan_refuses_an_auxiliary_head_that_does_not_fit(space, genotype, side, told):
    assert plan(space, black(side, 10), genotype)["steps"] == 3 * 2
    with pytest.raises(UserError, match=told):
        plan(space, black(side, 10), genotype, auxiliary_weight=0.4)


def test_curves_show_what_was_measured(whole):
    history = files.read_lines(whole[0] / "retrain" / "history.jsonl")
    loss, accuracy = draw_curves(history).axes
    assert [line.get_label() for line in accuracy.get_lines()] == ["train", "valid", "test"]
    np.testing.assert_allclose(loss.get_lines()[2].get_ydata(), [row["loss/test"] for row in history])


@pytest.mark.slow
def test_two_replicas_equal_one(tmp_path):
    program = """
        import sys, numpy as np
        from tf_edd.runtime.strategy import disable_meta_optimizer, make_strategy, use_logical_cpus
        use_logical_cpus(2)
        disable_meta_optimizer()
        from tf_edd.data import digits
        from tf_edd.optimizers.optimizers import sgd
        from tf_edd.training.retrain import retrain
        from tf_edd.schedules.learning_rate import constant_rate
        from tf_edd.spaces import nas_bench_201
        cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
        for name in ("one", "mirrored"):
            with make_strategy(name).scope():
                retrain(f"{sys.argv[1]}/{name}", cell, space=nas_bench_201(4, 1), data=digits, optimizer=sgd(),
                        rate=constant_rate(0.01), epochs=1, batch_size=512, weight_gradient_clip=1.0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=True, cwd=ROOT)
    one, two = (files.read_json(tmp_path / name / "retrain" / "results.json") for name in ("one", "mirrored"))
    np.testing.assert_allclose(one["last"]["loss/train"], two["last"]["loss/train"], rtol=1e-5)
    np.testing.assert_allclose(one["last"]["loss/test"], two["last"]["loss/test"], rtol=1e-4)
    for single, pair in zip(weights(tmp_path / "one"), weights(tmp_path / "mirrored"), strict=True):
        np.testing.assert_allclose(single, pair, atol=1e-5)


@pytest.mark.slow
def test_two_replicas_equal_one_with_side_branch_and_drop_path(tmp_path):
    """Dropped with probability 0 in the first epoch; in the second, replicas draw masks of their own."""
    program = """
        import sys
        from tf_edd.runtime.strategy import disable_meta_optimizer, make_strategy, use_logical_cpus
        use_logical_cpus(2)
        disable_meta_optimizer()
        from test_retrain import branched
        from tf_edd.schedules.learning_rate import constant_rate
        for name, epochs in (("one", (1,)), ("mirrored", (1, 2))):
            with make_strategy(name).scope():
                for count in epochs:
                    branched(f"{sys.argv[1]}/{name}_{count}", epochs=count, rate=constant_rate(0.01), batch_size=512,
                             weight_gradient_clip=1.0, deterministic=False)
    """
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
    folders = [tmp_path / name / "retrain" for name in ("one_1", "mirrored_1", "mirrored_2")]
    one, two, dropped = (files.read_lines(folder / "history.jsonl") for folder in folders)
    for tag, value in one[0].items():
        if tag.startswith(("loss/", "accuracy/")):
            np.testing.assert_allclose([two[0][tag], dropped[0][tag]], value, rtol=1e-4, err_msg=tag)
    for single, pair in zip(weights(tmp_path / "one_1"), weights(tmp_path / "mirrored_1"), strict=True):
        np.testing.assert_allclose(single, pair, rtol=0, atol=1e-5)
    assert math.isfinite(dropped[1]["loss/train"])
    assert all(np.isfinite(value).all() for value in weights(tmp_path / "mirrored_2"))
