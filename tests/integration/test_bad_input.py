"""What a user may give wrongly: one clear error, status 2, nothing lost."""

import dataclasses
import errno
import json
import math
import os
import resource
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_search import EPOCHS, STEPS, outcome, run

from launch import query, retrain, search
from tf_edd.actions import Action, GenotypeLog
from tf_edd.architectures import table as tabular
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.schedules import ConstantRate

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"


def searching(*bindings, gin_file="quickstart.gin", **flags):
    flags = {"model_dir": "run", "gin_file": gin_file, **flags}
    return [f"--{name}={value}" for name, value in flags.items()] + [f"--gin_param={text}" for text in bindings]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (searching("search.epoch = 3"), "The nearest: epochs"),
        (searching("serch.epochs = 3"), "search"),
        (searching("Cutout.size = 3"), "Cutout.size is never used"),
        (searching(gin_file="quickstrat.gin"), "quickstart.gin"),
        (searching("search.batch_size = 1000"), "batch_size=1000"),
        (searching("search.split = (1500, 0.1)"), "1438 images"),
        (searching("EntropyDecay.entropy_gain = 0"), "entropy_gain must be a positive number"),
        (searching("EntropyDecay.entropy_gain = -0.06"), "entropy_gain=-0.06"),
        (searching("EntropyDecay.momentum = 1.0"), "momentum=1.0"),
        (searching("SparseNoisySoftmax.smooth_scale=1", "SparseNoisySoftmax.smooth_temperature=None"), "above 1"),
        (searching("SparseNoisySoftmax.smooth_temperature = -1.0"), "smooth_temperature=-1.0"),
        (searching("weights/CosineRate.base = -1.0"), "base=-1.0"),
        (searching("step_order = 'both'"), "order='both'"),
        (searching("FirstOrder.order = 'both'"), "order='both'"),
        (searching("Method.selecter = None"), "The nearest: selector"),
        (searching("search.epochs ="), "cannot be read"),
        (searching("search.epochs = [3"), "cannot be read"),
    ],
)
def test_configurations_of_a_search(launched, tmp_path, arguments, message):
    assert message in launched(search, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_missing_include_names_the_file_and_where_it_was_looked_for(launched, tmp_path):
    (tmp_path / "mine.gin").write_text("include 'metods/edd_darts.gin'\n")
    error = launched(search, *searching(gin_file="mine.gin"))
    assert "metods/edd_darts.gin" in error and "The nearest: methods/edd_darts.gin" in error


CIFAR = "recipes/nb201_cifar10_small.gin"


def test_an_unknown_data_set(launched):
    error = launched(search, *searching("TfdsImages.name = 'cifar11'", gin_file=CIFAR, data_dir="."))
    assert "'cifar11'" in error and "cifar10" in error


def test_data_that_are_not_prepared(launched, tmp_path):
    error = launched(search, *searching(gin_file=CIFAR, data_dir=str(tmp_path)))
    assert f"tfds build cifar10 --data_dir={tmp_path}" in error and not list(tmp_path.iterdir())


FOLDERS = [
    "--gin_file=datasets/image_folder.gin",
    "--gin_file=recipes/nb201_shallow.gin",
    "--gin_file=methods/darts.gin",
]


def write_images(folder, count=4):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / f"{number}.png")


def test_folders_of_images(launched, tmp_path):
    arguments = [*FOLDERS, "--model_dir=run", "--gin_param=ImageFolder.directory='photos'"]
    assert "not a folder" in launched(search, *arguments)
    (tmp_path / "photos").mkdir()
    assert "at least two class folders" in launched(search, *arguments)
    write_images(tmp_path / "photos" / "cat")
    assert "at least two class folders" in launched(search, *arguments)
    write_images(tmp_path / "photos" / "dog")
    corrupt = tmp_path / "photos" / "dog" / "2.png"
    corrupt.write_bytes(corrupt.read_bytes()[:40])
    assert str(corrupt.relative_to(tmp_path)) in launched(search, *arguments)
    assert not (tmp_path / "run").exists()


RETRAIN = ["--gin_file=recipes/nb201_retrain_200_epochs.gin", "--gin_file=datasets/digits.gin", "--model_dir=run"]


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"schema": 1, "space": "nas_ben', "not a complete JSON file"),
        ('{"schema": 1, "space": "darts", "cells": {"cell": [[["none", 0]]]}}', "one of space 'darts'"),
        ('{"schema": 1, "space": "nas_bench_201", "cells": {"cell": [[["none", 0]]]}}', "3 nodes"),
        ("[]", "not a genotype"),
    ],
)
def test_genotypes(launched, tmp_path, text, message):
    (tmp_path / "genotype.json").write_text(text)
    assert message in launched(retrain, *RETRAIN, "--genotype=genotype.json")
    assert [path.name for path in tmp_path.iterdir()] == ["genotype.json"]


DARTS_RETRAIN = ["--gin_file=recipes/darts_retrain_small.gin", "--model_dir=run", "--dry_run"]
ON_DIGITS = "--gin_file=datasets/digits.gin"
WITHOUT_HEAD = "--gin_param=TrainingRecipe.auxiliary_weight = 0.0"
NODE = [["sep_conv_3x3", 0], ["sep_conv_3x3", 1]]


def darts_file(path, space="darts", **changes):
    """A genotype file whose cells have four equal nodes; `changes` replace the first node of the normal cell."""
    first = changes.get("first", NODE)
    cells = {"normal": [first, NODE, NODE, NODE], "reduce": [NODE] * 4}
    path.write_text(json.dumps({"schema": 1, "space": space, "cells": cells}))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"space": "s2"}, "space 'darts'. Received: one of space 's2'"),
        ({"first": []}, "Node 2 of cell 'normal' takes 2 edges"),
        ({"first": [NODE[0], ["sep_conv_9x9", 1]]}, "Edge 1 -> 2 of cell 'normal' takes one of"),
        ({"first": [NODE[0], ["sep_conv_3x3", 5]]}, "nodes [0, 1]. Received: source 5"),
        ({"first": [NODE[0], ["sep_conv_3x3", 1.5]]}, "genotype.json: an edge is a pair"),
        ({}, "reads maps of 8x8"),  # the cell is right; the digits have 8x8 pixels
    ],
)
def test_cells_of_the_darts_space(launched, tmp_path, changes, message):
    darts_file(tmp_path / "genotype.json", **changes)
    assert message in launched(retrain, *DARTS_RETRAIN, ON_DIGITS, "--genotype=genotype.json")
    assert [path.name for path in tmp_path.iterdir()] == ["genotype.json"]


def test_published_cells_of_another_space(launched):
    error = launched(retrain, *DARTS_RETRAIN, ON_DIGITS, "--genotype=darts_pt_s2_1")
    assert "space 'darts'. Received: one of space 's2'" in error


def test_images_too_small_to_be_trained_on(launched, tmp_path):
    for name in ("cat", "dog"):
        write_images(tmp_path / "photos" / name)
    photos = ["--gin_file=datasets/image_folder.gin", "--gin_param=ImageFolder.directory='photos'"]
    tiny = ["--gin_param=ImageFolder.image_size=(3, 3)", "--genotype=DARTS_V2", WITHOUT_HEAD]
    error = launched(retrain, *DARTS_RETRAIN, *photos, *tiny)
    assert "at least 4x4 pixels. Received: images of 3x3" in error and not (tmp_path / "run").exists()


def test_images_too_small_to_be_searched_on(launched, tmp_path):
    """The supernet for ImageNet halves five times, the digits have 8x8 pixels."""
    files = ["recipes/darts_family_search.gin", "methods/edd_darts.gin", "spaces/darts_imagenet.gin"]
    arguments = [ON_DIGITS, *(f"--gin_file={name}" for name in files), "--model_dir=run"]
    error = launched(search, *arguments, "--dry_run")
    assert "at least 32x32 pixels. Received: images of 8x8" in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text, message",
    [
        ("index,arch,accuracy\n0,|a~0|,3\n", "missing: cifar10_valid"),
        (",".join(tabular.COLUMNS) + "\n0,|none~0|" + ",1" * 10 + ",many\n", "line 2"),
        ("", "missing: index"),
    ],
)
def test_tables(launched, tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    assert message in launched(query, "--table=table.csv", f"--genotype={CELL}")
    bindings = ["TableLookup.table = @NasBench201Table()", "NasBench201Table.path = 'table.csv'"]
    assert message in launched(search, *searching("actions.table_lookup = @TableLookup()", *bindings))


def test_model_dirs(launched, tmp_path):
    (tmp_path / "run").write_text("a file")
    assert "which is a file" in launched(search, *searching())
    assert "a part of the path is a file" in launched(search, *searching(model_dir="run/below"))
    assert (tmp_path / "run").read_text() == "a file"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("")
    assert "thesis.tex" in launched(search, *searching(model_dir="theirs"))


def finite_checkpoint(folder) -> int:
    """The step of the newest checkpoint, whose variables are all finite."""
    prefix = tf.train.latest_checkpoint(str(folder / "search"))
    for name, _ in tf.train.list_variables(prefix):
        value = tf.train.load_variable(prefix, name)
        assert not isinstance(value, np.ndarray) or value.dtype.kind != "f" or np.isfinite(value).all(), name
    return int(prefix.split("-")[-1])


@dataclasses.dataclass(frozen=True)
class Leap:
    """A usual rate, and another one from the second epoch on in a process that sets it: the record is the same."""

    usual: float
    later: ClassVar[float | None] = None

    def __call__(self, epoch):
        return self.usual if epoch < 1 or Leap.later is None else Leap.later


@pytest.mark.slow
@pytest.mark.parametrize("which", ["weight_rate", "arch_rate"])
def test_numbers_that_are_not_finite_stop_the_search_at_the_last_good_checkpoint(tmp_path, monkeypatch, which):
    usual, later = {"weight_rate": (0.05, 1e30), "arch_rate": (1e-2, 1e39)}[which]

    def run_on(later, **changes):
        monkeypatch.setattr(Leap, "later", later)
        return run(tmp_path, **{which: Leap(usual)}, **changes)

    with pytest.raises(UserError, match="not finite in epoch 2. The checkpoint of epoch 1 is kept"):
        run_on(later, checkpoint_steps=1)
    assert STEPS <= finite_checkpoint(tmp_path) < 2 * STEPS
    run_on(None, overwrite=True, epochs=1)
    expected = outcome(tmp_path)["history"]
    with pytest.raises(UserError, match="not finite"):
        run_on(later, overwrite=True)
    assert finite_checkpoint(tmp_path) == STEPS
    run_on(None)
    rows = outcome(tmp_path)["history"]
    assert len(rows) == EPOCHS and rows[:1] == expected
    assert all(math.isfinite(row["loss/weights"]) for row in rows)


def test_nothing_finite_from_the_first_step(tmp_path):
    with pytest.raises(UserError, match="not finite in epoch 1. No epoch was finished"):
        run(tmp_path, weight_rate=ConstantRate(1e30))


def fail_with(code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    "code, message", [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")]
)
def test_a_disk_that_takes_nothing(tmp_path, monkeypatch, code, message):
    with monkeypatch.context() as patch, pytest.raises(UserError, match=f"Cannot write .*{message}"):
        patch.setattr(files.os, "fsync", fail_with(code))
        run(tmp_path / "run")
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_disk_that_fills_up_during_a_checkpoint_keeps_the_one_before(tmp_path):
    class Fill(Action):
        """From the second epoch on the system refuses to write more than 3 kB into a file."""

        def epoch(self, state, metrics):
            if state.epoch == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError, match=f"Cannot write .*ckpt-{2 * STEPS}"):
            run(tmp_path, actions=(Fill(),))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert finite_checkpoint(tmp_path) == STEPS
    assert not list((tmp_path / "search").glob(f"{files.TEMPORARY}*"))
    run(tmp_path, actions=(GenotypeLog(),))
    assert len(outcome(tmp_path)["history"]) == EPOCHS
