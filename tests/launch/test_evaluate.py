"""The evaluation program, which takes its data set from the retraining."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch import evaluate
from tf_edd.runtime import files

ROOT = Path(__file__).resolve().parents[2]


def launch(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "launch.evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_prints_what_it_writes(retrained_dir, tmp_path):
    done = launch(f"--model_dir={retrained_dir}", "--gin_param=evaluate.which = 'last'", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == files.read_json(retrained_dir / "retrain" / "evaluation.json")
    last = files.read_json(retrained_dir / "retrain" / "results.json")["last"]
    assert result["network"] == "last" and result["accuracy"] == pytest.approx(last["accuracy/test"])


def test_a_folder_without_a_retraining_is_one_clear_error(tmp_path, called):
    status, _, error = called(evaluate, f"--model_dir={tmp_path}", "--gin_file=datasets/digits.gin")
    assert status == 2
    assert "Expected the folder of a finished retraining" in error and "Traceback" not in error


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((), "The program needs --model_dir, or --saved_model with --gin_file"),
        (("--saved_model=export/saved_model",), "--saved_model needs --gin_file with its data set"),
        (("--model_dir=nowhere",), "Expected the folder of a finished retraining. Received: nowhere"),
        (("--model_dir=nowhere", "--saved_model=x"), "Expected the folder of a finished retraining"),
        (("--model_dir=" + "x" * 300,), "Expected the folder of a finished retraining"),
    ],
)
def test_what_is_missing_is_named(called, arguments, told):
    status, _, error = called(evaluate, *arguments)
    assert status == 2 and error.startswith(f"error: {told}") and len(error.splitlines()) == 1
