"""tf_edd.runtime.files: whole files or none."""

import errno
import json
import os
import stat

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import files


def test_json_returns_exactly_what_was_written(tmp_path):
    content = {"a": 0.1 + 0.2, "b": [1, 2], "c": None, "text": "é"}
    files.write_json(tmp_path / "new" / "x.json", content)
    assert files.read_json(tmp_path / "new" / "x.json") == content


def test_numpy_values_become_numbers_and_lists(tmp_path):
    files.write_json(tmp_path / "x.json", {"scalar": np.float32(0.5), "array": np.arange(3), "path": tmp_path})
    assert json.loads((tmp_path / "x.json").read_text()) == {"scalar": 0.5, "array": [0, 1, 2], "path": str(tmp_path)}


def test_lines_are_rewritten_whole(tmp_path):
    path = tmp_path / "genotypes.jsonl"
    files.write_lines(path, [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}])
    files.write_lines(path, [{"epoch": 1}, '{"epoch": 2.5}'])
    assert files.read_lines(path) == [{"epoch": 1}, {"epoch": 2.5}]
    assert [entry.name for entry in tmp_path.iterdir()] == ["genotypes.jsonl"]


@pytest.mark.parametrize("function, code", [("fsync", errno.ENOSPC), ("replace", errno.EROFS), ("fsync", errno.EDQUOT)])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch, function, code):
    path = tmp_path / "x.json"
    files.write_json(path, {"old": 1})

    def fail(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, function, fail)
    with pytest.raises(UserError, match="x.json.*is kept") as told:
        files.write_json(path, {"new": 2})
    assert files._REASONS[code] in str(told.value)
    assert files.read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        files.write_text(tmp_path / "file" / "x.txt", "text")


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"cells": [1, 2')
    with pytest.raises(UserError, match="complete JSON.*x.json"):
        files.read_json(path)
    path.write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(UserError, match="line 2"):
        files.read_lines(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="none.json"):
        files.read_json(tmp_path / "none.json")


def test_appended_lines_outlive_a_line_that_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    for value in (0.1 + 0.2, 1.0):
        files.append_line(path, {"value": value})
    with path.open("a") as file:
        file.write('{"value": 7')
    assert files.read_appended(path) == [{"value": 0.1 + 0.2}, {"value": 1.0}]
    files.append_line(path, {"value": np.float64(2)})
    assert path.read_text() == '{"value": 0.30000000000000004}\n{"value": 1.0}\n{"value": 2.0}\n'


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n{"a"\n{"a": 3}\n')
    with pytest.raises(UserError, match="log.jsonl, line 2"):
        files.read_appended(tmp_path / "log.jsonl")


def test_an_append_that_fails_is_told(tmp_path):
    with pytest.raises(UserError, match="Cannot write"):
        files.append_line(tmp_path / "nowhere" / "log.jsonl", {})


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027, 0o002])
def test_what_is_written_has_the_mode_that_the_umask_gives(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "text", "x")
        (tmp_path / "plain").write_text("x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("text", "plain")]
    assert modes == [0o666 & ~mask] * 2


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, "1" * 5000, '{"a": ' + "9" * 5000 + "}", "", "\0", "{"]
)
def test_json_that_python_cannot_read_is_one_short_error(tmp_path, text):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    (tmp_path / "damaged.jsonl").write_text(f"{{}}\n{text}\n")
    for read in (lambda: files.read_json(path), lambda: files.read_appended(tmp_path / "damaged.jsonl")):
        with pytest.raises(UserError, match="damaged.json.*") as error:
            read()
        assert len(str(error.value)) < 1000 and "Received: " in str(error.value)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"text"'])
def test_an_object_is_asked_for(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match="Expected a JSON object.*results.json, which holds"):
        files.read_object(tmp_path / "results.json")


@pytest.mark.parametrize("line", ["{}", "[]", "3", '{"epoch": 1}', '{"genotype": "|none~0|"}'])
def test_a_history_has_epochs_and_genotypes(tmp_path, line):
    path = tmp_path / "genotypes.jsonl"
    good = {"epoch": 1, "genotype": "|none~0|", "loss/weights": 2.5}
    files.write_lines(path, [good])
    assert files.read_history(path) == [good]
    files.write_lines(path, [good, line])
    with pytest.raises(UserError, match="genotypes.jsonl, line 2: expected the record of an epoch. Received: "):
        files.read_history(path)


def test_a_temporary_folder_is_gone_afterwards_and_its_lack_is_told(tmp_path, monkeypatch):
    with files.temporary_folder(tmp_path) as folder:
        assert os.path.dirname(folder) == str(tmp_path) and os.path.isdir(folder)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="temporary files that can be written .*TMPDIR"), files.temporary_folder():
        pytest.fail("there is none")
