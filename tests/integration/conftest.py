"""The launch programs in this process, for tests of what they refuse."""

import gin
import pytest
from absl import flags
from absl.testing import flagsaver

from launch import common


@pytest.fixture
def launched(capsys, monkeypatch, tmp_path):
    """Calls a program as the command line does; returns its one error."""
    monkeypatch.chdir(tmp_path)
    for name in ("genotype", "table", "saved_model"):  # flags of single programs, which define them when they start
        if name not in common.FLAGS:
            flags.DEFINE_string(name, None, "")

    def call(program, *arguments):
        with flagsaver.flagsaver():
            common.FLAGS(["program", *arguments])
            status = common._guard(program.main)
        error = capsys.readouterr().err
        assert status == 2 and error.count("error: ") == 1 and error.startswith("error: "), error
        assert "Traceback" not in error and "In call to configurable" not in error and "<function" not in error
        return error

    yield call
    gin.clear_config()
