"""Programs of tests that need a process of their own: devices and clusters are chosen before TensorFlow starts."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def start(program, *arguments, log, **environment):
    """Starts a Python file with the repository and tests/ on its path; both outputs go to `log`."""
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, str(program), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)


def finish(processes, logs, seconds=900):
    """Waits for all; one that fails would leave the others waiting for it."""
    try:
        for process, log in zip(processes, logs, strict=True):
            assert process.wait(seconds) == 0, log.read_text()[-5000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
