"""tf_edd.runtime.files: whole files or none."""

import errno
import json
import os

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
