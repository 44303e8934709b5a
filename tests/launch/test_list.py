"""The list of configurations: every file with the first sentence of its comment."""

from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

import gin_configs
from launch import list as program

ROOT = Path(gin_configs.__file__).parent


def files(*kinds):
    return {str(path.relative_to(ROOT)) for kind in kinds for path in (ROOT / kind).rglob("*.gin")}


def listed(text):
    return [line.split()[0] for line in text.splitlines() if line]


def test_every_file_is_listed_once_and_the_rows_of_papers_are_asked_for():
    names = listed(program.describe())
    kinds = {path.parts[0] for path in (Path(name) for name in files("."))} - {"papers"}
    assert set(names) == files(*(kind for kind in kinds if (ROOT / kind).is_dir())) and len(names) == len(set(names))
    assert set(listed(program.describe(["papers"]))) == files("papers")


def test_the_kinds_are_the_folders():
    assert set(program.KINDS) == {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "_."}


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("# One. Two.\nsearch.epochs = 3\n", "One"),
        ("# One goes\n# on: a file.\n\n# Not this.\n", "One goes on: a file"),
        ("search.epochs = 3\n# Late.\n", ""),
        (f"# {'word ' * 40}\n", f"{'word ' * 19}..."),
    ],
)
def test_the_first_sentence_of_the_head(tmp_path, text, sentence):
    (tmp_path / "x.gin").write_text(text)
    assert program.head(tmp_path / "x.gin") == sentence


def test_the_program_prints_the_kinds_that_were_asked_for(capsys):
    if "kind" not in flags.FLAGS:
        program.define_flags()
    with flagsaver.flagsaver():
        flags.FLAGS(["program", "--kind=spaces"])
        program.main()
    assert set(listed(capsys.readouterr().out)) == files("spaces")
