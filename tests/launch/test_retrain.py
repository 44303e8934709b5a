"""The retraining program: dry run, run, continuation, errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch import retrain
from tf_edd.architectures.genotype import from_text
from tf_edd.runtime import files
from tf_edd.spaces import nas_bench_201

ROOT = Path(__file__).resolve().parents[2]
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
RECIPE = ["--gin_file=recipes/nb201_retrain_200_epochs.gin", "--gin_file=datasets/digits.gin"]
TINY = [
    f"--gin_param={binding}"
    for binding in (
        "retrain.epochs = 1",
        "retrain/CosineRate.epochs = 1",
        "retrain/nas_bench_201.init_channels = 4",
        "retrain/nas_bench_201.cells_per_stage = 1",
    )
]


def launch(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "launch.retrain", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_dry_run_prints_the_recipe_and_writes_nothing(tmp_path, called):
    arguments = [*RECIPE, f"--genotype={CELL}", f"--model_dir={tmp_path / 'run'}", "--dry_run"]
    status, output, error = called(retrain, *arguments)
    assert status == 0, error
    rows = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert rows["epochs"] == "200" and rows["steps_per_epoch"] == "5" and rows["steps"] == "1,000"
    assert "few_steps" not in rows
    assert rows["seconds_per_step"].endswith(", on random images)") and rows["minutes"].split()[-1].isdigit()
    # the network of no operation (73,306, methods.md 6.1; 288 less for grey images) and one 3x3 convolution a cell
    convolutions = sum(5 * (9 * c * c + 2 * c) for c in (16, 32, 64))
    assert rows["parameters"] == f"{73_306 - 288 + convolutions:,}"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_trains_the_searched_cell_and_refuses_to_repeat(tmp_path, called):
    files.write_json(tmp_path / "genotype.json", from_text(CELL, nas_bench_201()).to_json())
    arguments = [*RECIPE, *TINY, f"--genotype={tmp_path / 'genotype.json'}", f"--model_dir={tmp_path / 'run'}"]
    done = launch(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = files.read_json(tmp_path / "run" / "retrain" / "results.json")
    assert results["genotype"] == CELL and results["epochs"] == 1
    assert f"Test accuracy: {results['last']['accuracy/test']:.4f}" in done.stdout
    status, _, error = called(retrain, *arguments)
    assert status == 2 and "is finished" in error and "Traceback" not in error


def test_without_a_genotype_is_one_clear_error(tmp_path, called):
    status, _, error = called(retrain, *RECIPE, f"--model_dir={tmp_path / 'run'}")
    assert status == 2
    assert "Expected a genotype file" in error and "Traceback" not in error
    assert not (tmp_path / "run").exists()
