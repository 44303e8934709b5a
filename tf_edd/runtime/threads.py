"""The threads that TensorFlow computes with: sums are rounded as they are divided among them."""

import contextlib
import os

import tensorflow as tf

_VARIABLES = {"intra_op_threads": "TF_NUM_INTRAOP_THREADS", "inter_op_threads": "TF_NUM_INTEROP_THREADS"}


def fix() -> None:
    """Makes TensorFlow use the numbers of threads that it would choose; call it before TensorFlow is used."""
    found, threading = numbers(), tf.config.threading
    with contextlib.suppress(RuntimeError):  # TensorFlow was used: it has chosen already, by the same rule
        threading.set_intra_op_parallelism_threads(found["intra_op_threads"])
        threading.set_inter_op_parallelism_threads(found["inter_op_threads"])


def numbers() -> dict[str, int]:
    """Threads within an operation and for operations side by side: as set, as in the environment, or all processors."""
    threading = tf.config.threading
    given = {
        "intra_op_threads": threading.get_intra_op_parallelism_threads(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads(),
    }
    return {name: number or _in_environment(name) or _processors() for name, number in given.items()}


def _in_environment(name: str) -> int:
    try:
        return max(int(os.environ.get(_VARIABLES[name], "")), 0)
    except ValueError:
        return 0


def _processors() -> int:
    """Those that this process may use, which TensorFlow counts too."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
