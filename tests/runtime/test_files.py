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
