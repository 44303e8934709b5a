"""tf_edd.runtime.recorded: the gin text of a run loads no code that the command line does not name."""

import sys

import gin
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import config
from tf_edd.search import parts  # noqa: F401 (registers what the gin files name)


@pytest.fixture(autouse=True)
def clean():
    yield
    gin.clear_config()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module on the path that leaves a trace when it is imported; calls tell whether it was."""
    (tmp_path / "stranger_of_a_run.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield (tmp_path / "trace").exists
    sys.modules.pop("stranger_of_a_run", None)


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def parse(recorded, files=(), params=()):
    config.parse(files, params, roots=("configure",), recorded=[recorded])


BOUND = "configure.xla = 'off'\n"


@pytest.mark.parametrize(
    "text",
    ["import stranger_of_a_run\n", "from stranger_of_a_run import x\n", "import stranger_of_a_run as sys\n"],
)
def test_an_import_of_a_module_that_nobody_named_is_refused(tmp_path, module, text):
    recorded = write(tmp_path, "config.gin", BOUND + text)
    with pytest.raises(UserError, match="imports the module stranger_of_a_run.*add --gin_param='import stranger_of_a"):
        parse(recorded)
    assert not module() and "stranger_of_a_run" not in sys.modules


def test_an_import_before_a_syntax_error_is_not_run(tmp_path, module):
    with pytest.raises(UserError, match="imports the module stranger_of_a_run"):
        parse(write(tmp_path, "config.gin", "import stranger_of_a_run\nconfigure.xla = (\n"))
    with pytest.raises(UserError, match="config.gin: expected gin text. Received: "):
        parse(write(tmp_path, "config.gin", "configure.xla = (\nimport stranger_of_a_run\n"))
    assert not module()


@pytest.mark.parametrize("by", ["param", "file", "included file"])
def test_what_the_command_line_imports_may_be_imported(tmp_path, module, by):
    recorded = write(tmp_path, "config.gin", f"import stranger_of_a_run\n{BOUND}")
    files = [write(tmp_path, "mine.gin", "import stranger_of_a_run\n")]
    if by == "included file":
        files = [write(tmp_path, "including.gin", f"include '{files[0]}'\n")]
    parse(recorded, *(((), ["import stranger_of_a_run"]) if by == "param" else (files,)))
    assert module() and gin.query_parameter("configure.xla") == "off"


def test_modules_that_are_loaded_may_be_named(tmp_path):
    parse(write(tmp_path, "config.gin", f"import tf_edd.runtime.strategy\nimport json\n{BOUND}"))
    assert gin.query_parameter("configure.xla") == "off"


@pytest.mark.parametrize("params", [(), ("import os",)])
def test_a_text_that_could_call_any_function_is_refused(tmp_path, params):
    text = f"from __gin__ import dynamic_registration\nimport os\nos.system.command = 'touch {tmp_path}/trace'\n"
    with pytest.raises(UserError, match="could run any code"):
        parse(write(tmp_path, "config.gin", text + "configure.xla = @os.system()\n"), (), params)
    assert not (tmp_path / "trace").exists()


def test_a_run_records_no_include(tmp_path, module):
    other = write(tmp_path, "other.gin", "import stranger_of_a_run\n")
    with pytest.raises(UserError, match="an include of '.*other.gin'"):
        parse(write(tmp_path, "config.gin", f"include '{other}'\n"))
    assert not module()


def test_files_of_the_command_line_are_trusted(tmp_path, module):
    config.parse([write(tmp_path, "mine.gin", f"import stranger_of_a_run\n{BOUND}")], roots=("configure",))
    assert module()
