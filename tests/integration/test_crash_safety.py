"""A search that is stopped anywhere and started again ends as one that never was, to the bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_retraining import branched, weights
from tiny_search import EPOCHS, STEPS, Stop, StopAt, noisy_space, outcome, run, stop_at_save

from tf_edd.actions import Action, GenotypeLog
from tf_edd.networks import supernet
from tf_edd.networks.cell import SearchCell
from tf_edd.regularizers import SelfDistillation
from tf_edd.runtime import files, folder_lock, termination
from tf_edd.runtime.progress import Progress

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder)
    return outcome(folder)


@pytest.mark.slow
def test_stops_around_epochs(tmp_path, uninterrupted):
    stops = [StopAt("begin"), StopAt("epoch", 1), StopAt("epoch", 2), StopAt("end", EPOCHS)]
    for stop in stops:  # after the log of the epoch, before its checkpoint
        with pytest.raises(Stop):
            run(tmp_path, actions=(GenotypeLog(), stop))
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps, stops",
    [(None, [(2, False), (1, True)]), (3, [(1, True), (3, False), (2, True)])],  # with 3, also inside an epoch
)
def test_stops_around_checkpoints(tmp_path, uninterrupted, steps, stops):
    for count, after in stops:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            stop_at_save(patch, count, after)
            run(tmp_path, checkpoint_steps=steps)
    run(tmp_path, checkpoint_steps=steps)
    assert outcome(tmp_path) == uninterrupted


class Traces(Action):
    """Counts the edges of a search, and the functions that they share."""

    def epoch(self, state, metrics):
        cells = [layer for layer in state.supernet.blocks if isinstance(layer, SearchCell)]
        (traces,) = {cell.traces for cell in cells}
        self.edges, self.functions = sum(len(cell.mixed_ops) for cell in cells), len(traces._functions)


@pytest.mark.slow
def test_stops_with_two_cell_kinds_noise_and_shared_traces(tmp_path, monkeypatch):
    """Inside the first epoch, and before the last checkpoint, when the noise behind it is drawn already."""
    monkeypatch.setattr(supernet, "SHARED_FROM", 1)
    traces = Traces()

    def noisy(name):
        run(tmp_path / name, space=noisy_space(), epochs=2, checkpoint_steps=3, actions=(GenotypeLog(), traces))

    noisy("whole")
    assert traces.edges == 6 and traces.functions > 0
    for count, after in [(1, True), (3, False)]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            stop_at_save(patch, count, after)
            noisy("stopped")
    noisy("stopped")
    whole = outcome(tmp_path / "whole")
    assert outcome(tmp_path / "stopped") == whole
    assert set(whole["history"][-1]["probs"]) == {"normal", "reduce"}
    prefix = tf.train.latest_checkpoint(str(tmp_path / "whole" / "search"))
    values = [tf.train.load_variable(prefix, name) for name in whole["variables"] if name.startswith("supernet/")]
    calls = [value[1] for value in values if np.issubdtype(value.dtype, np.integer)]  # seed and calls of each noise
    assert len(calls) == 6 and min(calls) >= 2 * 2 * STEPS  # two phases a step, and the evaluations


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, "epoch"])
def test_stops_with_teachers(tmp_path, uninterrupted, every):
    """Before, at and after the end of the warm-up (step 4), and between the taking of a state and its first use."""

    def distilled(name):
        teachers = SelfDistillation(teachers=2, every=every, warmup_epochs=1)
        run(tmp_path / name, checkpoint_steps=1, regularizers=(teachers,))

    distilled("whole")
    for count, after in [(3, True), (2, True), (3, False)]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            stop_at_save(patch, count, after)
            distilled("stopped")
    distilled("stopped")
    whole = outcome(tmp_path / "whole")
    assert outcome(tmp_path / "stopped") == whole
    kept = [np.frombuffer(v, np.uint8) for name, v in whole["variables"].items() if name.startswith("regularizers/")]
    assert len(kept) > 20 and sum(value.any() for value in kept) > 20
    losses = [[row["loss/weights"] for row in result["history"]] for result in (whole, uninterrupted)]
    assert losses[0][0] == losses[1][0] and losses[0][1] > losses[1][1]  # the second epoch is the first with teachers


@pytest.mark.slow
def test_a_stop_after_the_last_checkpoint_leaves_the_ending_to_be_done(tmp_path, monkeypatch):
    class Ending(Action):
        def epoch(self, state, metrics):
            self.expected = {cell_type: probs.copy() for cell_type, probs in state.probs.items()}

        def end(self, state):
            self.seen = state.probs

    first, second = Ending(), Ending()
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, EPOCHS, after=True)
        run(tmp_path, actions=(first,))
    assert not (tmp_path / "search" / "results.json").exists()
    run(tmp_path, actions=(second,))
    assert (second.seen["cell"] == first.expected["cell"]).all()
    assert files.read_json(tmp_path / "search" / "results.json")["epochs"] == EPOCHS


@pytest.mark.slow
def test_a_truncated_newest_checkpoint_costs_an_epoch_only(tmp_path, uninterrupted, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, 2, after=True)
        run(tmp_path)
    newest = max((tmp_path / "search").glob("ckpt-*.data-*"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:1000])
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.slow
def test_overwriting_never_continues_what_was_there(tmp_path, uninterrupted, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, 1, after=True)
        run(tmp_path, seed=8)
    with monkeypatch.context() as patch, pytest.raises(Stop):  # a kill in the middle of the removal

        def rmtree(path):
            raise Stop

        patch.setattr("tf_edd.runtime.model_dir.shutil.rmtree", rmtree)
        run(tmp_path, overwrite=True)
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.fixture
def signal_at_step(monkeypatch):
    """Installs the handlers of a program; `call(number, step)` sends the signal while the step is counted."""
    before = {number: signal.getsignal(number) for number in termination.SIGNALS}
    moments, count = {}, Progress.step

    def step(self, *arguments, **values):
        count(self, *arguments, **values)
        if (number := moments.pop(self._step, None)) is not None:
            signal.raise_signal(number)

    def call(number, step):
        signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup
        termination.install()
        moments[step] = number

    monkeypatch.setattr(Progress, "step", step)
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)
    termination._pending.clear()


@pytest.mark.slow
def test_signals_in_a_search_write_a_checkpoint_and_cost_no_step(tmp_path, uninterrupted, signal_at_step):
    """Inside an epoch the step after the signal ends the search, at the end of one the epoch's own checkpoint."""
    stops = [(signal.SIGTERM, 1, 2), (signal.SIGHUP, STEPS - 1, STEPS), (signal.SIGINT, 2 * STEPS - 2, 2 * STEPS - 1)]
    for number, step, written in stops:
        signal_at_step(number, step)
        with pytest.raises(termination.Stopped) as end:
            run(tmp_path)
        assert f"checkpoint of step {written} written" in end.value.message()
        assert (tmp_path / "search" / f"ckpt-{written}.index").exists()
        assert not (tmp_path / folder_lock.LOCK).exists()
    termination.install()
    run(tmp_path)
    assert outcome(tmp_path) == uninterrupted


@pytest.mark.slow
def test_signals_in_a_retraining_write_a_checkpoint_and_cost_no_step(tmp_path, signal_at_step):
    whole = branched(tmp_path / "whole")
    steps = files.read_json(tmp_path / "whole" / "retrain" / "results.json")["images"]["train"] // 128
    for step in (3, 5, steps, steps + 3):
        signal_at_step(signal.SIGTERM, step)
        with pytest.raises(termination.Stopped, match="15") as end:
            branched(tmp_path / "stopped")
        assert f"checkpoint of step {step} written" in end.value.message()
        assert not (tmp_path / "stopped" / folder_lock.LOCK).exists()
    termination.install()
    stopped = branched(tmp_path / "stopped")
    for one, other in zip(weights(tmp_path / "stopped"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    for tag in ("loss/train", "accuracy/train", "loss/test"):
        assert stopped["last"][tag] == whole["last"][tag] and stopped["best"][tag] == whole["best"][tag]


PROGRAM = """
import gin
from tiny_search import tiny_space

gin.external_configurable(tiny_space, module="tf_edd.spaces")

from launch import search

if __name__ == "__main__":
    search.run()
"""
BINDINGS = (
    "search.space = @tiny_space()",
    "epochs = 4",
    "search.split = (96, 96)",
    "search.batch_size = 16",
    "search.checkpoint_steps = 4",
    "arch/ConstantRate.value = 1e-2",
    "weights/CosineRate.base = 0.1",
    "search.actions = (@TensorBoard(), @GenotypeLog())",
)
FILES = ("datasets/digits.gin", "methods/edd_darts.gin")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    program = tmp_path_factory.mktemp("program") / "tiny_program.py"
    program.write_text(PROGRAM)
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    arguments = [f"--gin_file={name}" for name in FILES] + [f"--gin_param={text}" for text in BINDINGS]

    def popen(folder):
        command = [sys.executable, str(program), f"--model_dir={folder}", "--deterministic", "--seed=5", *arguments]
        # As a user runs it: equal to the bit with more than one thread, which the suite has not.
        environment = {**os.environ, "PYTHONPATH": path, "TF_NUM_INTRAOP_THREADS": "2"}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    return popen


def kill(process, folder, step, writing, delay, number=signal.SIGKILL) -> bool:
    """Sends the signal some time after checkpoint `step` exists, or while the program writes the next one."""
    search = folder / "search"
    while process.poll() is None:
        steps = [int(path.stem[5:]) for path in search.glob("ckpt-*.index")]
        reached = steps and max(steps) >= step
        if reached and (not writing or any(path.is_dir() for path in search.glob(f"{files.TEMPORARY}*"))):
            time.sleep(0 if writing else delay)
            process.send_signal(number)
            break
        time.sleep(0.0005)
    error = process.communicate()[1]
    ended = -signal.SIGKILL if number == signal.SIGKILL else 128 + number
    assert process.returncode in (0, ended), error
    if process.returncode == 128 + number:
        written = max(int(path.stem[5:]) for path in search.glob("ckpt-*.index"))
        last = f"Terminated: checkpoint of step {written} written; the same command continues from it."
        assert error.splitlines()[-1] == last and "Traceback" not in error
    return process.returncode == ended


@pytest.mark.slow
def test_sigkill_and_sigterm_at_any_moment(tmp_path, start):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    reference = start(whole)
    error = reference.communicate()[1]
    assert reference.returncode == 0, error
    delay = random.Random(20)
    # 24 steps, a checkpoint after 4, 6, 10, 12, ...
    moments = [(4, False, signal.SIGTERM), (10, True, signal.SIGKILL)]
    killed = [
        kill(start(broken), broken, step, writing, delay.uniform(0, 0.05), number) for step, writing, number in moments
    ]
    assert all(killed)
    last = start(broken)
    error = last.communicate()[1]
    assert last.returncode == 0, error
    assert "Restored" in error
    assert outcome(broken) == outcome(whole)
    assert len(outcome(whole)["history"]) == 4
    state = [files.read_json(folder / "search" / "results.json")["metrics"] for folder in (whole, broken)]
    for tag in state[0].keys() | state[1].keys():
        assert tag.startswith("speed/") or state[0][tag] == state[1][tag], tag
