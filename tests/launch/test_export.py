"""The export program, which takes its data set from the retraining."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launch import export
from tf_edd.runtime import files

ROOT = Path(__file__).resolve().parents[2]


def launch(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "launch.export", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_exports_and_keeps_an_earlier_export(retrained_dir, tmp_path, called):
    shutil.copytree(retrained_dir, tmp_path / "run")
    arguments = (f"--model_dir={tmp_path / 'run'}", "--gin_param=export.check_images = 20")
    done = launch(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check = files.read_json(tmp_path / "run" / "export" / "model_card.json")["reloaded"]
    assert check["images"] == 20 and f"accuracy {check['accuracy']:.4f}" in done.stdout
    status, _, error = called(export, *arguments)
    assert status == 2 and "--overwrite" in error and "Traceback" not in error
