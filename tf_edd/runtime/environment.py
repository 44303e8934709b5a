"""What a run ran on: versions, devices, command line and code revision."""

import datetime
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tf_edd


def describe() -> dict:
    """A JSON-able description of this process and its machine."""
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "git": git_hash(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "tf_edd": tf_edd.__version__,
        },
        "platform": platform.platform(),
        "devices": devices(),
    }


def devices() -> list[str]:
    """The physical devices TensorFlow sees; GPUs by their product name."""
    return [_device_name(device) for device in tf.config.list_physical_devices()]


def git_hash() -> str | None:
    """The commit of the checkout that holds this package, or None outside one (or where git is not installed)."""
    folder = Path(tf_edd.__file__).resolve().parents[1]
    if not (folder / ".git").exists():  # an installed copy may lie inside a checkout of something else
        return None
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _device_name(device) -> str:
    name = device.name.removeprefix("/physical_device:")
    if device.device_type != "GPU":
        return name
    return f"{name} {tf.config.experimental.get_device_details(device).get('device_name', '')}".strip()
