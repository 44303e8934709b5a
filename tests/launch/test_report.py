"""The report of several searches."""

import pytest

from launch import report
from tf_edd.analysis import comparison
from tf_edd.errors import UserError


def test_a_search_without_label_is_refused():
    with pytest.raises(UserError, match="LABEL=MODEL_DIR"):
        report.read_searches(["runs/edd"])


def test_a_search_in_its_first_epoch_is_refused(tmp_path):
    (tmp_path / "genotypes.jsonl").write_text("")
    with pytest.raises(UserError, match="first epoch is not finished"):
        report.read_searches([f"EDD={tmp_path}"])


def test_labels_may_hold_equals_signs(tmp_path):
    (tmp_path / "genotypes.jsonl").write_text('{"epoch": 1}\n')
    assert report.read_searches([f"EDD s*t=1={tmp_path},{tmp_path}"]) == {"EDD s*t=1": [[{"epoch": 1}], [{"epoch": 1}]]}


def test_selections_are_read_beside_the_histories(tmp_path):
    (tmp_path / "genotypes.jsonl").write_text('{"epoch": 1}\n')
    results = '{"genotype": "|a~0|", "metrics": {"accuracy/discretized": 0.5}, "selection": {}}'
    (tmp_path / "results.json").write_text(results)
    found = report.read_searches([f"SPOS={tmp_path}"], comparison.read_selection)
    assert found == {"SPOS": [{"genotype": "|a~0|", "accuracy/discretized": 0.5}]}
