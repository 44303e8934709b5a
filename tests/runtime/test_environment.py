"""tf_edd.runtime.environment: what a run ran on."""

import json
import platform
import subprocess
from pathlib import Path

import keras
import tensorflow as tf

import tf_edd
from tf_edd.runtime import environment


def test_versions_devices_and_command():
    described = json.loads(json.dumps(environment.describe()))
    assert described["versions"]["python"] == platform.python_version()
    assert described["versions"]["tensorflow"] == tf.__version__
    assert described["versions"]["keras"] == keras.__version__
    assert described["devices"][0] == "CPU:0"
    assert described["command"]


def test_the_commit_is_that_of_the_package(tmp_path, monkeypatch):
    package = tmp_path / "tf_edd"
    package.mkdir()
    monkeypatch.setattr(tf_edd, "__file__", str(package / "__init__.py"))
    assert environment.git_hash() is None

    def git(*args):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", *identity, "-C", str(tmp_path), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    git("commit", "--allow-empty", "-m", "x")
    assert environment.git_hash() == git("rev-parse", "HEAD")
    assert Path(tf_edd.__file__).parent == package
