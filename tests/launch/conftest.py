"""The launch programs in this process, which costs no start of TensorFlow."""

import gin
import pytest
from absl import flags
from absl.testing import flagsaver

from launch import common


@pytest.fixture
def called(capsys):
    """Calls a program as the command line does; its exit status and what it has written to both outputs."""
    for name in ("genotype", "saved_model"):  # flags of single programs, which define them when they start
        if name not in common.FLAGS:
            flags.DEFINE_string(name, None, "")

    def call(program, *arguments):
        with flagsaver.flagsaver():
            common.FLAGS(["program", *map(str, arguments)])
            status = common._guard(program.main)
        return (status, *capsys.readouterr())

    yield call
    gin.clear_config()
