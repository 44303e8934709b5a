"""launch.common: flags, the start of a program, errors without tracebacks."""

import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from launch import common
from tf_edd.runtime import strategy as strategies

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
