"""The command `tf_edd`: its programs, what it says of itself, and the program that it hands over to."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tf_edd
from launch import command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs the command in this process; returns status, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/tf_edd", *arguments])
        status = 0
        try:
            command.run()
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("arguments", [(), ("help",), ("-h",), ("--help",)])
def test_usage_names_every_program(call, arguments):
    status, output, errors = call(*arguments)
    assert status == 0 and errors == "" and output.startswith("usage: tf_edd PROGRAM")
    assert [line.split()[0] for line in output.splitlines()[2:]] == list(command.PROGRAMS)


def test_every_program_can_be_run_and_none_is_left_out():
    for name in command.PROGRAMS:
        assert callable(importlib.import_module(f"launch.{name}").run), name
    service = {"__init__", "command", "common", "log_format", "startup"}
    assert {path.stem for path in (ROOT / "launch").glob("*.py")} - service == set(command.PROGRAMS)


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_version(call, argument):
    assert call(argument) == (0, f"tf_edd {tf_edd.__version__}\n", "")


@pytest.mark.parametrize("name", ["serach", "--model_dir=x"])
def test_an_unknown_program_is_refused_with_the_usage(call, name):
    status, output, errors = call(name, "--help")
    assert status == 2 and output == ""
    assert errors == f"error: Expected a program. Received: {name!r}\n{command.usage()}"


def test_the_program_gets_the_other_arguments(call, monkeypatch):
    seen = []
    program = importlib.import_module("launch.query")
    monkeypatch.setattr(program, "run", lambda: seen.append(list(sys.argv)))
    assert call("query", "--genotype=6111", "--help") == (0, "", "")
    assert seen == [["tf_edd query", "--genotype=6111", "--help"]]


def in_new_process(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", ["search", "report"])
def test_help_of_a_program_is_its_manual_without_waiting_for_tensorflow(program):
    code = f"""
import sys
from launch.command import run
sys.argv = ["/usr/bin/tf_edd", "{program}", "--help"]
try:
    run()
finally:
    sys.stderr.write(f"loaded: {{[name for name in ('tensorflow', 'keras') if name in sys.modules]}}")
"""
    done = in_new_process("-c", code)
    manual = importlib.import_module(f"launch.{program}").__doc__.splitlines()[0]
    assert manual in done.stdout and {"search": "--[no]overwrite", "report": "--figure"}[program] in done.stdout
    assert done.stderr == "loaded: []"


def test_the_package_is_the_same_command():
    done = in_new_process("-m", "tf_edd", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tf_edd {tf_edd.__version__}\n", "")
    assert in_new_process("-m", "tf_edd", "none").returncode == 2


def test_modules_of_the_working_directory_are_found(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/usr/bin"])
    assert call("--version")[0] == 0 and sys.path == [str(tmp_path), "/usr/bin"]
    assert call("--version")[0] == 0 and sys.path == [str(tmp_path), "/usr/bin"]
