"""The child process of one competitor: builds it, then does as many steps as its parent asks for."""

import importlib
import multiprocessing
import resource
import sys
import time
import traceback

import numpy as np
from absl import logging

from benchmarks.setting import BEFORE, SUITES, Setting, use_cores


class WorkerError(RuntimeError):
    """A child process failed; the message holds its traceback or exit code."""


def _batch(setting: Setting, seed: int):
    generator = np.random.default_rng(seed)
    shape = (setting.batch, setting.image_size, setting.image_size, 3)
    images = generator.standard_normal(shape, np.float32)
    return images, generator.integers(0, setting.classes, setting.batch, np.int32)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _seconds(step, batches, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        losses = step(*batches)
    elapsed = time.perf_counter() - start
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"the losses must stay finite. Received: {losses}")
    return elapsed / count


def _use_checkout(path: str) -> str:
    """Lets this process import tf_edd and its peers from another checkout; returns the competitor that it runs."""
    import benchmarks

    sys.path.insert(0, path)
    benchmarks.__path__ = [f"{path}/benchmarks"]
    return "tf_edd"


def _answer(connection, name: str, setting: Setting):
    suite = SUITES[setting.suite]
    if name == BEFORE:
        name = _use_checkout(setting.before)
    competitor = suite.competitors[name]
    start = time.perf_counter()
    module = importlib.import_module(f"benchmarks.peers.{competitor.module}")
    step = module.build(setting, **competitor.arguments)
    build_seconds = time.perf_counter() - start
    batches = [array for seed in range(suite.batches) for array in _batch(setting, seed)]
    first_seconds = _seconds(step, batches, 1)
    second_seconds = _seconds(step, batches, 1)  # the first step after the tracing still fills caches
    connection.send({"build": build_seconds, "first_step": first_seconds, "second_step": second_seconds})
    while count := connection.recv():
        connection.send({"seconds": _seconds(step, batches, count), "peak_bytes": _peak_bytes()})


def _serve(connection, name: str, setting: Setting):
    use_cores(setting.cores)
    try:
        _answer(connection, name, setting)
    except (EOFError, BrokenPipeError):  # the parent was stopped: nobody is left to measure for
        return
    except Exception:  # reported by the parent, which goes on with the other competitors
        connection.send({"error": traceback.format_exc()})


def _serve_parts(connection, setting: Setting, data_dir: str | None):
    use_cores(setting.cores)
    parts = importlib.import_module("benchmarks.parts")
    connection.send(parts.measure(setting, data_dir))


def measure_parts(setting: Setting, data_dir: str | None) -> dict[str, float]:
    """Runs `benchmarks.parts` in a child; {} with an error message when that fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_parts, args=(theirs, setting, data_dir))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        logging.error("the parts could not be timed, see the traceback above")
        return {}
    finally:
        process.join()


class Worker:
    """The parent's end: `begin` builds and does the first two steps, `steps` does more, `close` ends the child."""

    def __init__(self, name: str, setting: Setting):
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, setting), daemon=True)
        self._process.start()
        theirs.close()

    def _receive(self) -> dict:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise WorkerError(f"{self.name} died with exit code {self._process.exitcode}") from None
        if "error" in answer:
            raise WorkerError(f"{self.name} failed:\n{answer['error']}")
        return answer

    def begin(self) -> dict[str, float]:
        """Seconds of building, of the first step (tracing included) and of the second."""
        return self._receive()

    def steps(self, count: int) -> dict[str, float]:
        """Seconds per step over `count` more steps, and the child's peak memory so far."""
        self._connection.send(count)
        return self._receive()

    def close(self):
        """Lets the child leave its loop and waits for it."""
        if self._process.is_alive():
            self._connection.send(0)
        self._process.join()
