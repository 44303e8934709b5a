"""Searches side by side."""

import json

import pytest

from tf_edd.analysis import comparison
from tf_edd.errors import UserError


class Lookup:
    """A table of one column."""

    def query(self, genotype):
        return {"cifar10_test": {"|a~0|": 90.0, "|b~0|": 94.0}[genotype]}


def epoch(number, genotype, valid):
    return {
        "epoch": number,
        "genotype": genotype,
        "accuracy/valid": valid,
        "accuracy/discretized": valid / 2,
        "arch/entropy": 1.25,
        "speed/seconds": 90.0,
    }


def test_rows_mean_deviation_and_best():
    seeds = [[epoch(1, "|b~0|", 0.1), epoch(2, "|a~0|", 0.5)], [epoch(1, "|b~0|", 0.7)]]
    lines = comparison.table({"EDD": seeds}, Lookup()).splitlines()
    assert len(lines) == 5
    first = [cell.strip() for cell in lines[2].replace("\\|", "").split("|")]
    assert first[1:9] == ["EDD 0", "2", "50", "25", "1.25", "0", "90", "1.5"]
    # Mean 92 and sample standard deviation of (90, 94): sqrt(8) = 2.83.
    assert "| 92 +- 2.8 |" in lines[4]
    assert "| 60 +- 14 |" in lines[4]
    assert "best of 2: 94" in lines[4]


def test_without_a_table_and_with_one_seed_there_is_no_spread():
    lines = comparison.table({"EDD": [[epoch(1, "|a~0|", 0.5)]]}).splitlines()
    assert len(lines) == 3
    assert "+-" not in lines[2]
    assert "cifar10_test" not in lines[0]


def test_without_a_table_no_seed_is_the_best():
    lines = comparison.table({"EDD": [[epoch(1, "|a~0|", 0.5)], [epoch(1, "|b~0|", 0.7)]]}).splitlines()
    assert "| 60 +- 14 |" in lines[-1]
    assert "best" not in lines[-1]


def test_an_unknown_column_names_the_known():
    with pytest.raises(UserError, match="columns cifar10_test. Received: 'cifar'"):
        comparison.table({"EDD": [[epoch(1, "|a~0|", 0.5)]]}, Lookup(), "cifar")


def test_history_is_read_from_model_dir_or_search_folder(tmp_path):
    (tmp_path / "search").mkdir()
    rows = [epoch(1, "|a~0|", 0.5), epoch(2, "|b~0|", 0.6)]
    (tmp_path / "search" / "genotypes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert comparison.read_history(tmp_path) == rows
    assert comparison.read_history(tmp_path / "search") == rows


def test_a_selected_cell_takes_the_place_of_the_last(tmp_path):
    rows = [epoch(1, "|a~0|", 0.5), epoch(2, "|skip_connect~0|", 0.6)]
    (tmp_path / "genotypes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert comparison.read_selection(tmp_path) == {}  # not finished
    results = {"genotype": "|b~0|", "metrics": {"accuracy/valid": 0.6, "accuracy/discretized": 0.7}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert comparison.read_selection(tmp_path) == {}  # the cell of the last epoch
    (tmp_path / "results.json").write_text(json.dumps({**results, "selection": {"accuracy": 0.7}}))
    selections = {"EDD": [comparison.read_selection(tmp_path)]}
    lines = comparison.table({"EDD": [rows]}, Lookup(), selections=selections).splitlines()
    first = [cell.strip() for cell in lines[2].replace("\\|", "").split("|")]
    assert first[1:10] == ["EDD 0", "2", "60", "70", "1.25", "0", "94", "1.5", "`b~0`"]


def test_a_folder_without_search_is_refused(tmp_path):
    with pytest.raises(UserError, match="genotypes.jsonl"):
        comparison.read_history(tmp_path)
