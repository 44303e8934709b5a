"""The search program: dry run, run, what the terminal shows, refusal to repeat."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launch import search
from tf_edd.runtime import files

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--gin_file=quickstart.gin",
    *(
        f"--gin_param={binding}"
        for binding in (
            "epochs = 1",
            "search.split = (64, 64)",
            "nas_bench_201.init_channels = 4",
        )
    ),
]


def launch(*arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "launch.search", *map(str, arguments)]
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_dry_run_prints_the_composition_and_nothing_else(tmp_path):
    done = launch("--gin_file=quickstart.gin", f"--model_dir={tmp_path / 'run'}", "--dry_run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told, config = done.stdout.split("\n\n", 1)
    rows = dict(line.split("  ", 1) for line in told.splitlines())
    assert config.startswith("Configuration in gin\n")
    assert re.match("(about|less than) [0-9]+ min: .* s a step", rows["time"].strip())
    assert "EntropyDecay.entropy_gain = %entropy_gain" in config and "entropy_gain = 0.06" in config.splitlines()
    assert rows["space"].strip() == "nas_bench_201, 15,625 architectures, 7 blocks"
    assert rows["steps"].strip() == "12 epochs x 22 steps of 32 + 32 images"  # 719 images a split
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_searches_and_refuses_to_repeat(tmp_path, called):
    done = launch(*TINY, f"--model_dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    genotype = files.read_json(tmp_path / "run" / "search" / "genotype.json")["text"]
    assert done.stdout.splitlines() == [f"Searched cell: {genotype}", f"Written to: {tmp_path / 'run'}/search"]
    written = {path.name for path in (tmp_path / "run" / "search").iterdir()}
    assert {"genotypes.jsonl", "results.json", "cell.png", "trajectories.png", "discretized"} <= written
    recorded = files.read_json(tmp_path / "run" / "search" / "record.json")
    assert recorded["method"]["temperature"]["entropy_gain"] == 0.06 and recorded["splits"]["train"] == 64
    # only lines of this package: the epoch, the result, perhaps a warning of a collapse
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert any("search 1/1" in line for line in lines)
    ours = re.compile(
        r"\d\d:\d\d:\d\d (search: |search 1/1  |Searched cell: |warning: Epoch 1: |warning: 2 steps of the logits)"
    )
    assert all(ours.match(line) for line in lines), done.stderr
    assert not any(noise in done.stderr for noise in ("Sharding callback", "oneDNN", "cuda", "Load dataset"))

    status, _, error = called(search, *TINY, f"--model_dir={tmp_path / 'run'}")
    assert status == 2 and error.startswith("error: ") and "is finished" in error
    assert "In call to configurable" not in error
