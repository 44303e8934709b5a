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
    with log.open("w") as output:  # the process has its own copy
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def finish(processes, logs, seconds=900, statuses=None):
    """Waits for all; one that fails would leave the others waiting for it. All end with 0, or with these statuses."""
    try:
        for process, log, status in zip(processes, logs, statuses or [0] * len(logs), strict=True):
            assert process.wait(seconds) == status, log.read_text()[-5000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
