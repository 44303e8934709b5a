"""The plan of a retraining: sizes and steps, other data, and what it refuses before anything is written."""

import dataclasses
import json
import re

import keras
import numpy as np
import pytest
from tiny_retraining import CELL, run

from tf_edd.data import Crop, ImageData
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.runtime.record import describe
from tf_edd.runtime.strategy import current
from tf_edd.schedules import CosineRate
from tf_edd.spaces import darts, darts_imagenet, nas_bench_201
from tf_edd.training import plan as plans
from tf_edd.training.plan import RetrainPlan
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.retrain import retrain
from tf_edd.training.train_step import TrainStep

NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


class Refusing(SGD):
    """What only a step meets."""

    def update_step(self, gradient, variable, learning_rate):
        raise UserError("Expected another gradient. Received: this")

    def apply(self, grads, trainable_variables=None):
        raise UserError("Expected another gradient. Received: this")


def test_dry_run_returns_sizes_and_writes_nothing(tmp_path):
    plan = run(tmp_path / "run", dry_run=True)
    assert plan["steps_per_epoch"] == 11 and plan["steps"] == 33 and plan["parameters"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5000}, "batch_size must not exceed the 1438 images"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 2.5}, "epochs must be an integer"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer of at least 1 or None"),
        ({"valid": 0.1, "patience": 0}, "patience must be an integer of at least 1 or None"),
        ({"patience": 5}, "patience needs held-out training images, such as valid = 0.1"),
        ({"dry_run": "sizes"}, "dry_run must be one of False, True, 'timed'"),
        ({"valid": 1.5}, "valid"),
        ({"valid": 1438}, "valid"),
        ({"valid": np.int64(1438)}, "valid"),
        ({"batch_size": 64.0}, "batch_size must be an integer"),
        ({"seed": 2**32}, "seed must be an integer"),
        ({"augmentation": Crop(1)}, "augmentation must be a list of augmentations"),
        ({"augmentation": (3,)}, "augmentation must be a list of augmentations"),
        ({"auxiliary_weight": 0.4}, "no auxiliary head"),
        ({"epochs": 2, "rate": CosineRate(0.1, 3)}, "TrainingRecipe.rate must last as long as the run, 2 epochs"),
        ({"rate": lambda epoch: None}, "TrainingRecipe.rate must give each epoch"),
        ({"rate": keras.optimizers.schedules.CosineDecay(0.1, 9)}, "rate must count epochs, as CosineRate does"),
        ({"optimizer": Refusing()}, "Expected another gradient"),
        ({"genotype": NOTHING}, "Expected a cell that leads from its input to its output"),
    ],
)
def test_refuses_values_out_of_range(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("valid", [np.int64(100), np.int32(100), np.float32(100 / 1438)])
def test_numpy_numbers_hold_out_as_many_images(valid, tmp_path):
    assert run(tmp_path / "run", dry_run=True, valid=valid)["valid"] == 100


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epochs": 12, "steps_per_epoch": 33}, "396 steps are few: .*2,000 .*epochs = 61, or .*epoch = 167"),
        ({"epochs": 10, "steps_per_epoch": 40}, None),
        ({"epochs": 3}, "33 steps are few: .*2,000 .*epochs = 182, or steps_per_epoch = 667"),
    ],
)
def test_too_few_steps_are_told_with_how_many_it_takes(changes, told, tmp_path):
    """The shortest training of NAS-Bench-201 has 12 epochs of 196 steps."""
    assert plans.LEAST_STEPS <= plans.USUAL_STEPS <= 12 * 196
    summary = run(tmp_path / "run", dry_run=True, batch_size=128, **changes)
    assert summary["steps"] == summary["epochs"] * summary["steps_per_epoch"]
    found = summary.get("few_steps")
    assert found is None if told is None else re.match(told, found)


def test_the_training_warns_of_too_few_steps_too(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(plans.logging, "warning", lambda *message: logged.append(message[0] % message[1:]))
    monkeypatch.setattr(plans, "build_final_network", lambda *given, **named: (_ for _ in ()).throw(InterruptedError))
    for steps in (2, 1000):
        with pytest.raises(InterruptedError):
            run(tmp_path, steps_per_epoch=steps)
    assert len(logged) == 1 and logged[0].startswith("6 steps are few")


def black(side, classes):
    """Images that nobody looks at."""
    source = ArraySource(np.zeros((200, side, side, 3), np.uint8), np.arange(200) % classes)
    names = [str(label) for label in range(classes)]
    return ImageData.from_sources("black", source, source, names, Moments((0.0,) * 3, (1.0,) * 3))


def plan(space, data, genotype="DARTS_V2", **recipe):
    arguments = {"recipe": TrainingRecipe(**recipe), "epochs": 3, "batch_size": 100}
    return retrain("nowhere", genotype, space=space, data=data, dry_run=True, **arguments)


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


def test_the_record_tells_images_and_compilation(tmp_path):
    data, arguments = black(32, 10), {"space": nas_bench_201(), "recipe": TrainingRecipe(), "augmentation": ()}
    numbers = {"epochs": np.int64(3), "batch_size": np.int64(100), "seed": np.int64(7)}
    made = RetrainPlan.make(tmp_path, CELL, data=data, valid=0, data_dir=None, **arguments, **numbers)
    assert made.record["images"] == made.record["data"] == describe(data)
    assert made.record["images"]["class_names"] == list(data.class_names)
    assert current().record().items() <= made.record.items() and {"xla", "meta_optimizer"} <= made.record.keys()
    assert json.loads(json.dumps(made.record)) == made.record and type(made.seed) is type(made.epochs) is int


@pytest.mark.parametrize(
    ("batch_size", "left_out"),
    [
        (128, "72 of 200 images are left out in each epoch (batch_size=128)"),
        (60, None),  # 20 images, a tenth
        (50, None),
    ],
)
def test_images_that_no_epoch_sees_are_told(batch_size, left_out, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(plans.logging, "info", lambda *message: logged.append(message[0] % message[1:]))
    data, arguments = black(8, 10), {"space": nas_bench_201(), "recipe": TrainingRecipe(), "augmentation": ()}
    arguments |= {"data": data, "valid": 0, "data_dir": None, "epochs": 1, "batch_size": batch_size, "seed": 0}
    made = RetrainPlan.make(tmp_path, CELL, **arguments)
    assert made.summary().get("left_out") == left_out
    assert made.summary()["steps_per_epoch"] == 200 // batch_size
    monkeypatch.setattr(plans, "build_final_network", lambda *given, **named: (_ for _ in ()).throw(InterruptedError))
    with pytest.raises(InterruptedError):
        made.start(tmp_path, overwrite=False)
    assert logged[1:] == ([f"{left_out}."] if left_out else [])


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_training_is_announced_before_it_is_traced(tmp_path, monkeypatch, overwrite):
    events = []
    monkeypatch.setattr(plans, "announce", lambda name, about: events.append(f"{name}: {about}"))
    monkeypatch.setattr(TrainStep, "trace", lambda *arguments, **named: events.append("trace"))
    monkeypatch.setattr(plans, "open_model_dir", lambda *given: (_ for _ in ()).throw(InterruptedError))
    with pytest.raises(InterruptedError):
        run(tmp_path, overwrite=overwrite)
    assert events == ["retrain: digits, images 8x8x1, 10 classes", "trace"]


def test_refuses_what_cannot_move():
    with pytest.raises(UserError, match="space 'nas_bench_201'. Received: one of space 'darts'"):
        plan(nas_bench_201(), black(32, 10))
    with pytest.raises(UserError, match="reduces the sides of its images by 32.*32x32 pixels. Received: images of 8x8"):
        plan(darts_imagenet(), black(8, 10))


@pytest.mark.parametrize(
    ("space", "genotype", "side", "message"),
    [
        (darts(), "DARTS_V2", 16, "reads maps of 8x8.*Received: maps of 4x4 from images of 16x16"),
        (darts_imagenet(), "DARTS_V2", 32, "reads maps of 7x7.*Received: maps of 1x1 from images of 32x32"),
        (nas_bench_201(), CELL, 32, "'nas_bench_201' has no auxiliary head"),
    ],
)
def test_a_plan_refuses_an_auxiliary_head_that_does_not_fit(space, genotype, side, message):
    assert plan(space, black(side, 10), genotype)["steps"] == 3 * 2
    with pytest.raises(UserError, match=message):
        plan(space, black(side, 10), genotype, auxiliary_weight=0.4)


def test_notes_of_the_loader_are_told():
    assert plan(nas_bench_201(4, 1), dataclasses.replace(black(8, 3), notes=("a", "b")), CELL)["files"] == ["a", "b"]
    assert "files" not in plan(nas_bench_201(4, 1), black(8, 3), CELL)
