"""The flags of the report; what it prints is tested with `tf_edd.analysis.comparison`."""

import pytest

from launch import report
from tf_edd.errors import UserError


def test_a_search_without_label_is_refused():
    with pytest.raises(UserError, match="LABEL=MODEL_DIR"):
        report.parse_searches(["runs/edd"])


def test_labels_may_hold_equals_signs():
    assert report.parse_searches(["EDD s*t=1=runs/0,runs/1"]) == {"EDD s*t=1": ["runs/0", "runs/1"]}


def test_each_folder_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/users/me")
    assert report.parse_searches(["EDD=~/0,~/1,runs/~"]) == {"EDD": ["/users/me/0", "/users/me/1", "runs/~"]}
