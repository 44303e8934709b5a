"""The ranking of a supernet: what it measures and writes, how it continues, and what it refuses."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from launch import rank as program
from launch.common import recorded_config
from tf_edd import data
from tf_edd.analysis.ranking import ranking_cells
from tf_edd.architectures.genotype import from_text
from tf_edd.architectures.table import ACCURACIES, COLUMNS, NasBench201Table
from tf_edd.edges import AuxiliarySkip
from tf_edd.errors import UserError
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime import config, files
from tf_edd.runtime.folder_lock import LOCK
from tf_edd.runtime.record import describe
from tf_edd.search import parts  # noqa: F401 (registers what the gin files name)
from tf_edd.search.rank import _sample, rank
from tf_edd.search.search import search
from tf_edd.spaces import nas_bench_201, s1, space_to_json

ROOT = Path(__file__).resolve().parents[2]
CELLS = 12
TINY = ["epochs = 1", "search.batch_size = 32", "search.split = (64, 64)", "search.actions = ()", "warmup_epochs = 0"]
TINY += ["nas_bench_201.init_channels = 4", "skip_unused = False"]
RANK = [f"rank.cells = {CELLS}", "rank.resamples = 50", "rank.batch_size = 150"]
FILES = ["datasets/digits.gin", "recipes/nb201_shallow.gin", "methods/edd_darts.gin"]


@pytest.fixture(autouse=True, scope="module")
def plain_machine():
    """No configuration is left behind."""
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A model_dir of a search on digits, and a table in which the n-th cell of the sample has n / 2 per cent."""
    folder = tmp_path_factory.mktemp("searched")
    config.parse(FILES, TINY, roots=("search",))
    gin.get_configurable(search)(folder, seed=3)
    rows = [f"{i},{cell}" + f",{i / 2}" * len(ACCURACIES) for i, cell in enumerate(ranking_cells())]
    files.write_lines(folder / "table.csv", [",".join(COLUMNS), *rows])
    return folder


def table_of(folder):
    return f'NasBench201Table.path = "{folder / "table.csv"}"'


def run(folder, *more, **arguments):
    gin_files = [*recorded_config(folder, "search"), "tables/nb201_rank.gin"]
    config.parse(gin_files, [table_of(folder), *RANK, *more], roots=("rank",))
    return gin.get_configurable(rank)(folder, **arguments)


def restored(folder):
    """The supernet of the checkpoint, by TensorFlow's own reader."""
    supernet = Supernet(nas_bench_201(4, 1), 10)
    supernet.build((None, *data.Digits().load().image_shape))
    prefix = tf.train.latest_checkpoint(str(folder / "search"))
    for number, variable in enumerate(supernet.variables):
        variable.assign(tf.train.load_variable(prefix, f"supernet/{number}/.ATTRIBUTES/VARIABLE_VALUE"))
    return supernet


@pytest.fixture(scope="module")
def ranked(searched):
    return run(searched, overwrite=True)


def test_the_pairs_are_inherited_accuracies_and_those_of_the_table(searched, ranked):
    evaluate, test = SupernetEvaluator(restored(searched)), data.Digits().load().test
    for place, pair in enumerate(ranked["pairs"]):
        cell = from_text(ranking_cells()[place], nas_bench_201())
        assert pair["cell"] == str(cell) and pair["cifar10_test"] == place / 2
        accuracy = evaluate(cell.one_hot(nas_bench_201()), test, 150, tf.distribute.get_strategy())[1]
        assert pair["inherited"] == pytest.approx(accuracy, abs=1e-6)
    assert len(ranked["pairs"]) == CELLS and len({pair["inherited"] for pair in ranked["pairs"]}) > 3


def test_tau_is_that_of_the_pairs_and_everything_is_written(searched, ranked):
    inherited = [pair["inherited"] for pair in ranked["pairs"]]
    tau = ranked["tau"]
    assert tau["tau"] == pytest.approx(scipy.stats.kendalltau(inherited, np.arange(CELLS)).statistic)
    assert tau["low"] <= tau["tau"] <= tau["high"] and tau["cells"] == CELLS
    assert files.read_json(searched / "search" / "ranking.json") == ranked
    assert (searched / "search" / "ranking.png").stat().st_size > 10_000
    assert ranked["epoch"] == 1 and ranked["step"] == 2


def test_it_continues_where_it_stopped(searched, ranked, monkeypatch):
    log = searched / "search" / "ranking.jsonl"
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:6])[:-9])  # four cells, and a line cut short
    original, asked = InheritedAccuracy.__call__, []
    monkeypatch.setattr(InheritedAccuracy, "__call__", lambda self, cell: asked.append(cell) or original(self, cell))
    assert run(searched) == ranked and len(asked) == CELLS - 4 and log.read_bytes() == whole
    assert run(searched) == ranked and len(asked) == CELLS - 4


def test_one_process_at_a_time_ranks(searched, ranked):
    log = (searched / "search" / "ranking.jsonl").read_bytes()
    with open(searched / "search" / LOCK, "w") as other:  # a second opening stands for a second process
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="in which no other process works"):
            run(searched, overwrite=True)
    assert (searched / "search" / "ranking.jsonl").read_bytes() == log
    assert run(searched) == ranked and not (searched / "search" / LOCK).exists()


def test_other_settings_are_refused_until_overwritten(searched, ranked):
    with pytest.raises(UserError, match="batch_size: started with 150, received 100"):
        run(searched, "rank.batch_size = 100")
    assert run(searched)["pairs"] == ranked["pairs"]


def test_python_needs_no_gin(searched, ranked):
    gin.clear_config()
    table = NasBench201Table(path=str(searched / "table.csv"))
    settings = {"cells": CELLS, "resamples": 50, "batch_size": 150, "augmentation": (data.Crop(padding=1),)}
    assert rank(searched, table=table, data=data.Digits(), **settings) == ranked


@pytest.mark.slow
def test_validation_split_and_recalibrated_statistics(searched, ranked, tmp_path):
    folder = shutil.copytree(searched, tmp_path / "run")
    more = ["rank.images = 'valid'", "rank.statistics = 'recalibrated'", "rank.recalibration_batches = 2"]
    more += ["rank.batch_size = 32"]
    other = run(folder, *more, overwrite=True)
    assert other["images"] == 64 and other["recalibration_batches"] == 2
    assert all(pair["inherited"] * 64 == pytest.approx(round(pair["inherited"] * 64)) for pair in other["pairs"])
    assert files.read_json(folder / "search" / "ranking.json") == other != ranked  # in its place


def test_a_dry_run_writes_nothing(searched):
    before = {path: path.stat().st_mtime_ns for path in searched.rglob("*")}
    told = run(searched, "rank.images = 'valid'", dry_run=True)
    assert (told["cells"], told["images"], told["part"]) == (CELLS, 64, "valid")
    assert {path: path.stat().st_mtime_ns for path in searched.rglob("*")} == before


@pytest.mark.parametrize(
    "binding, told",
    [
        ("rank.column = 'svhn_test'", "column must be one of cifar10_valid, "),
        ("rank.cells = 201", "cells must be at least 10 and not exceed the 200"),
        ("rank.cells = 5", "cells must be at least 10"),
        ("rank.confidence = 95", "confidence must lie between 0 and 1"),
        ("rank.resamples = 0", "resamples must be"),
        ("rank.images = 'train'", "images must be one of 'test', 'valid'"),
        ("rank.statistics = 'moving'", "statistics must be one of"),
        ("Digits.test_fraction = 0.3", "Expected the data set of the search"),
    ],
)
def test_bad_input(searched, binding, told):
    with pytest.raises(UserError, match=f"(?s){told}"):
        run(searched, binding)


@pytest.mark.parametrize(
    "space, told",
    [
        (nas_bench_201(8, 1), "Expected an intact checkpoint of supernet.*none that fits"),
        (s1(), "The table knows cells of space 'nas_bench_201'. Received: a search in 's1'"),
    ],
)
def test_a_search_in_another_space_is_refused(searched, tmp_path, space, told):
    folder = shutil.copytree(searched, tmp_path / "run")
    files.write_json(folder / "search" / "space.json", space_to_json(space))
    with pytest.raises(UserError, match=f"(?s){told}"):
        run(folder)


def test_a_search_with_surrounded_candidates_is_refused(searched, tmp_path):
    shutil.copytree(searched, tmp_path / "run")
    record = files.read_json(tmp_path / "run" / "search" / "record.json")
    record["method"]["edges"] = [describe(AuxiliarySkip())]
    files.write_json(tmp_path / "run" / "search" / "record.json", record)
    with pytest.raises(UserError, match=r"Received: a search with Method.edges = \['AuxiliarySkip'\]"):
        run(tmp_path / "run")


def test_a_configuration_without_data_is_refused(searched):
    with pytest.raises(UserError, match="Received: %data, which is bound nowhere"):
        config.parse(["tables/nb201_rank.gin"], [table_of(searched)], roots=("rank",))


def test_bindings_of_the_searchs_own_actions_stay_in_use(searched):
    own = ["Sharpness.relative = True", "actions.drawings = None", table_of(searched)]
    config.parse([*FILES, "actions/sharpness.gin", "tables/nb201_rank.gin"], own, roots=("rank",))
    assert gin.query_parameter("Sharpness.relative") is True and gin.query_parameter("actions.drawings") is None


def launch(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "launch.rank", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_program_prints_tau(searched, ranked, tmp_path):
    params = [f"--gin_param={text}" for text in (table_of(searched), *RANK)]
    done = launch(f"--model_dir={searched}", "--gin_file=tables/nb201_rank.gin", *params, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Kendall's tau: {ranked['tau']['tau']:.3f} (95% interval" in done.stdout


def test_a_folder_without_a_search_is_one_clear_error(searched, tmp_path, called):
    gin_files = [f"--gin_file={name}" for name in (*FILES, "tables/nb201_rank.gin")]
    status, _, error = called(program, f"--model_dir={tmp_path}", *gin_files, f"--gin_param={table_of(searched)}")
    assert status == 2 and "Traceback" not in error
    assert "Expected the model_dir of a search" in error and not list(tmp_path.iterdir())


def test_a_search_without_none_is_ranked_by_the_cells_that_it_has():
    """Of the published sample 44 of 200 cells have no `none`, counted in their texts."""
    space = nas_bench_201(with_none=False)
    expected = [cell for cell in ranking_cells() if "none" not in cell]
    assert _sample(200, space) == expected and len(expected) == 44
    assert _sample(200, nas_bench_201()) == list(ranking_cells())
    with pytest.raises(UserError, match="have no other; 10 are needed. Received: cells=12"):
        _sample(12, space)
