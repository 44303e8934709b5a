"""launch.common: flags, the start of a program, errors without tracebacks."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from launch import common
from tf_edd.runtime import strategy as strategies
from tf_edd.runtime import termination

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = '''"""The manual of this program."""
import gin
import numpy as np
from launch import common
from tf_edd.errors import UserError

common.define_flags("model_dir", "gin", "machine", "dry_run")
FLAGS = common.FLAGS


@gin.configurable(module="tf_edd.lc")
def lc_root(value=1, fail=None):
    if fail == "user":
        raise UserError("Expected this. Received: that")
    if fail == "interrupt":
        raise KeyboardInterrupt
    if fail == "bug":
        raise RuntimeError("a bug")
    return value


def main():
    runtime = common.setup(roots=("lc_root",))
    seeded = np.random.randint(10**9)
    print(lc_root(), seeded, runtime.deterministic, runtime.chief, runtime.strategy.num_replicas_in_sync)


def run():
    common.launch(main, required=("model_dir",))


if __name__ == "__main__":
    run()
'''


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "lc_program.py"
    path.write_text(PROGRAM)

    def call(*arguments, command=(str(path),)):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path.parent}"}
        return subprocess.run(
            [sys.executable, *command, *arguments], capture_output=True, text=True, env=environment, timeout=120
        )

    return call


def seeded(seed):
    """The first number that the program draws."""
    return str(np.random.RandomState(seed).randint(10**9))


def test_flags_reach_the_program(program):
    arguments = ["--model_dir=x", "--gin_param=lc_root.value = -3", "--seed=7", "--deterministic", "--strategy=one"]
    result = program(*arguments)
    assert result.stdout.split() == ["-3", seeded(7), "True", "True", "1"], result.stderr
    assert result.returncode == 0


def test_gin_bindings_is_an_alias_and_logical_cpus_mirror(program):
    result = program("--model_dir=x", "--gin_bindings=lc_root.value=5", "--logical_cpus=2", "--strategy=mirrored")
    assert result.stdout.split() == ["5", seeded(0), "False", "True", "2"], result.stderr


@pytest.mark.parametrize(
    "argument, status, told",
    [
        ("--gin_param=lc_root.fail='user'", 2, "error: Expected this. Received: that"),
        ("--gin_param=lc_root.fail='bug'", 1, "Traceback"),
        ("stray", 1, "Expected flags only. Received: stray"),
    ],
)
def test_the_status_tells_the_kind_of_error(program, argument, status, told):
    result = program("--model_dir=x", argument)
    output = result.stderr + result.stdout
    assert result.returncode == status and told in output and ("Traceback" in output) == (told == "Traceback")


@pytest.fixture
def in_process(capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run", "overwrite")
    before = list(strategies._CURRENT)

    def call(main, *arguments):
        with flagsaver.flagsaver():
            common.FLAGS(["program", *arguments])
            return common._guard(main), capsys.readouterr().err

    yield call
    gin.clear_config()
    strategies._CURRENT[:] = before


@pytest.mark.parametrize(
    "argument, told",
    [
        ("--gin_param=configure.precison='float32'", "The nearest: precision"),
        ("--gin_param=configure.precision='float8'", "must be one of float32"),
        ("--gin_file=none.gin", "'none.gin'"),
        ("--strategy=multi_worker", "TF_CONFIG"),
    ],
)
def test_what_setup_refuses(in_process, argument, told):
    status, error = in_process(lambda: common.setup(roots=("configure",)), argument)
    assert status == 2 and error.startswith("error: ") and told in error


def test_deterministic_refuses_xla(in_process):
    arguments = ["--gin_param=configure.xla='on'", "--deterministic"]
    status, error = in_process(lambda: common.setup(roots=("configure",)), *arguments)
    assert status == 2 and "needs XLA to be off" in error


def test_several_replicas_refuse_xla_and_auto_leaves_it_off(in_process, monkeypatch):
    class TwoReplicas:
        cluster_resolver, num_replicas_in_sync, scope = None, 2, contextlib.nullcontext

    monkeypatch.setattr(strategies, "make_strategy", lambda name: TwoReplicas())
    monkeypatch.setattr(strategies.tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"])
    arguments = ["--gin_param=configure.meta_optimizer='off'"]  # what other tests run with
    status, error = in_process(lambda: common.setup(("configure",)), *arguments, "--gin_param=configure.xla='on'")
    assert status == 2 and "needs a strategy of one replica. Received: configure.xla on with 2 replicas" in error
    runtimes = []
    arguments += ["--gin_param=configure.xla='auto'"]
    assert in_process(lambda: runtimes.append(common.setup(("configure",))), *arguments) == (0, "")
    assert not runtimes[0].jit_compile and strategies.current() is runtimes[0]


@pytest.mark.parametrize("resumable", [False, True])
def test_an_interrupt_says_how_to_continue_where_that_is_possible(capsys, resumable):
    def main():
        raise KeyboardInterrupt

    assert common._guard(main, resumable) == 130
    error = capsys.readouterr().err
    assert "Interrupted" in error and ("same command continues" in error) == resumable


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_refuses_is_no_flag(in_process, seed):
    with pytest.raises(flags.IllegalFlagValueError, match=str(seed)):
        in_process(lambda: None, f"--seed={seed}")


@pytest.mark.parametrize(
    "path, shown",
    [
        ("keras/tf_edd/tf_edd/search.py", True),
        ("tensorflow/env/lib/python3/site-packages/tf_edd/search.py", True),
        ("env/lib/python3/site-packages/keras/src/saving.py", False),
        ("lib/python3/dist-packages/tensorflow/python/ops.py", False),
    ],
)
def test_information_of_installed_packages_is_left_out(path, shown):
    for level in (logging.INFO, logging.WARNING):
        record = logging.LogRecord("absl", level, path, 1, "told", None, None)
        assert common._worth_showing(record) == (shown or level == logging.WARNING)


def test_a_required_flag_is_asked_for(in_process):
    status, error = in_process(lambda: common._check_required(["model_dir", "gin_file", "seed"]))
    assert status == 2 and error == "error: The program needs --model_dir and --gin_file (--help tells more)\n"
    assert in_process(lambda: common._check_required(["model_dir"]), "--model_dir=x")[0] == 0


def test_default_files_are_for_a_command_line_without_files(in_process, tmp_path):
    for name in ("default", "given"):
        (tmp_path / f"{name}.gin").write_text(f"configure.xla = '{name}'\n")

    def main():
        common.parse_gin(("configure",), [str(tmp_path / "default.gin")])

    for name, arguments in (("default", []), ("given", [f"--gin_file={tmp_path / 'given.gin'}"])):
        assert in_process(main, *arguments)[0] == 0
        assert gin.query_parameter("configure.xla") == name


def test_files_of_the_recorded_run_come_before_those_of_the_command_line(in_process, tmp_path):
    for name in ("recorded", "given"):
        (tmp_path / f"{name}.gin").write_text(f"configure.xla = '{name}'\nconfigure.meta_optimizer = '{name}'\n")
    (tmp_path / "given.gin").write_text("configure.xla = 'given'\n")

    def main():
        common.parse_gin(("configure",), recorded=[str(tmp_path / "recorded.gin")])

    assert in_process(main, f"--gin_file={tmp_path / 'given.gin'}")[0] == 0
    assert gin.query_parameter("configure.xla") == "given"
    assert gin.query_parameter("configure.meta_optimizer") == "recorded"


def test_a_recorded_configuration_is_that_of_its_phase(tmp_path):
    for phase in ("search", "retrain"):
        assert common.recorded_config(str(tmp_path), phase) == []
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "config.gin").write_text("")
    assert common.recorded_config(str(tmp_path), "search") == [str(tmp_path / "search" / "config.gin")]
    assert common.recorded_config(str(tmp_path), "retrain") == common.recorded_config(None, "search") == []


def test_flags_of_a_run_become_arguments(in_process):
    found = []
    in_process(lambda: found.append(common.run_arguments()), "--seed=3", "--data_dir=tfds", "--dry_run")
    assert found == [{"data_dir": "tfds", "seed": 3, "overwrite": False, "dry_run": True}]


@pytest.mark.parametrize("command", [None, ("-c", "import lc_program; lc_program.run()")])
def test_help_is_the_manual_with_the_shared_flags(program, command):
    result = program("--help", **({"command": command} if command else {}))
    for part in ("The manual of this program.", "--model_dir", "--gin_param", "--strategy"):
        assert part in result.stdout
    assert "--overwrite" not in result.stdout


def stopped(number, step=None):
    def main():
        raise termination.Stopped(number, step)

    return main


@pytest.mark.parametrize(
    "number, step, status, told",
    [
        (signal.SIGTERM, 9, 143, "Terminated: checkpoint of step 9 written; the same command continues from it."),
        (signal.SIGHUP, None, 129, "Terminated; the same command continues from the last checkpoint."),
        (signal.SIGINT, None, 130, "Interrupted; the same command continues from the last checkpoint."),
    ],
)
def test_a_signal_ends_with_one_line_and_its_status(capsys, number, step, status, told):
    assert common._guard(stopped(number, step), resumable=True) == status
    assert capsys.readouterr().err == f"\n{told}\n"


class Worker:
    """The strategy of one of several workers, as far as the end of a program asks."""

    class cluster_resolver:  # noqa: N801
        task_type = "worker"


@pytest.mark.parametrize("kind", ["Unavailable", "Aborted", "Cancelled", "DeadlineExceeded"])
def test_a_worker_that_is_left_alone_says_so(in_process, kind):
    text = "Graph execution error:\n\nDetected at node x\nReported from /job:worker/task:1: /job:worker/task:1 is gone"
    error = getattr(tf.errors, f"{kind}Error")(None, None, text)

    def main():
        raise error

    strategies._CURRENT[:] = [strategies.Runtime(Worker)]
    told = f"error: A worker has stopped answering. Received: {kind}Error /job:worker/task:1\n"
    assert in_process(main) == (2, told)
    assert common._guard(main, resumable=True) == 2
    strategies._CURRENT[:] = [strategies.Runtime(tf.distribute.OneDeviceStrategy("/cpu:0"))]
    with pytest.raises(type(error)):  # alone it is a bug
        in_process(main)


def test_other_errors_of_a_worker_are_shown_whole(in_process):
    strategies._CURRENT[:] = [strategies.Runtime(Worker)]
    for error in (tf.errors.InvalidArgumentError(None, None, "a bug"), RuntimeError("a bug")):

        def main(raised=error):
            raise raised

        with pytest.raises(type(error)):
            in_process(main)


def test_the_home_folder_may_be_written_as_a_tilde(in_process, monkeypatch):
    monkeypatch.setenv("HOME", "/users/me")
    found = []

    def main():
        common._expand_home()
        found.append((common.FLAGS.model_dir, common.FLAGS.data_dir))

    in_process(main, "--model_dir=~/runs/x~")
    in_process(main, "--model_dir=runs/~", "--data_dir=~")
    assert found == [("/users/me/runs/x~", None), ("runs/~", "/users/me")]


@pytest.mark.parametrize(
    "given, read", [("~/cell.json", "/users/me/cell.json"), ("DARTS_V2", "DARTS_V2"), ("|none~0|", "|none~0|")]
)
def test_a_genotype_may_lie_in_the_home_folder(given, read, monkeypatch):
    own = flags.FlagValues()
    flags.DEFINE_string("genotype", None, "As of a program.", flag_values=own)
    own(["program", f"--genotype={given}"])
    monkeypatch.setattr(common, "FLAGS", own)
    monkeypatch.setenv("HOME", "/users/me")
    common._expand_home()
    assert own.genotype == read


def test_a_program_starts_with_handlers_and_home_folder(in_process, monkeypatch):
    steps = []
    monkeypatch.setattr(common.app, "run", lambda main: main(["program"]))
    monkeypatch.setattr(common.logging, "get_absl_handler", logging.NullHandler)
    monkeypatch.setattr(termination, "install", lambda: steps.append("handlers"))
    monkeypatch.setattr(common, "_expand_home", lambda: steps.append("home"))

    def main():
        steps.append("program")

    with pytest.raises(SystemExit) as end:
        common.launch(main)
    assert end.value.code == 0 and steps == ["handlers", "home", "program"]


def test_a_command_line_without_gin_is_told_a_file_to_begin_with(in_process):
    told = "error: The program needs --gin_file, such as --gin_file=recipes/x.gin (`tf_edd list` shows what there is)\n"
    assert in_process(lambda: common.require_gin("recipes/x.gin")) == (2, told)
    for argument in ("--gin_file=any.gin", "--gin_param=epochs = 3"):
        assert in_process(lambda: common.require_gin("recipes/x.gin"), argument) == (0, "")


def test_the_configuration_of_a_phase_is_asked_for(in_process, tmp_path):
    def main():
        found.append(common.needed_config(str(tmp_path), "retrain", "finished retraining"))

    found, path = [], tmp_path / "retrain" / "config.gin"
    told = f"error: Expected the folder of a finished retraining. Received: {tmp_path} (it has no retrain/config.gin)\n"
    assert in_process(main) == (2, told)
    path.parent.mkdir()
    path.write_text("")
    status, error = in_process(main)
    assert status == 2 and "Expected --gin_file with the data set" in error and "started from Python" in error
    assert in_process(main, "--gin_file=datasets/digits.gin") == (0, "")
    path.write_text("retrain.epochs = 3\n")
    assert in_process(main) == (0, "") and found == [[str(path)]] * 2


def test_what_a_run_has_recorded_loads_no_code(in_process, tmp_path):
    (tmp_path / "config.gin").write_text("import a_module_of_a_stranger\n")
    status, error = in_process(lambda: common.parse_gin(("configure",), recorded=[str(tmp_path / "config.gin")]))
    assert status == 2 and "add --gin_param='import a_module_of_a_stranger'" in error


def test_a_name_of_no_folder_has_no_configuration():
    assert common.recorded_config("x" * 300, "search") == []
