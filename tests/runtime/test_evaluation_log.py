"""The log of measurements: what was measured is not measured again, and nothing else is taken for it."""

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime.evaluation_log import EvaluationLog

SETTINGS = {"seed": 0, "sizes": (1, 2)}


def never():
    raise AssertionError("measured again")


def test_values_return_to_the_bit(tmp_path):
    log = EvaluationLog(tmp_path / "log.jsonl", SETTINGS)
    assert [log("a", lambda: 0.1 + 0.2, generation=0), log("b", lambda: 1 / 3)] == [0.1 + 0.2, 1 / 3]
    log = EvaluationLog(tmp_path / "log.jsonl", SETTINGS)
    assert log.left == 2 and [log("a", never), log("b", never)] == [0.1 + 0.2, 1 / 3] and log.left == 0
    assert log("c", lambda: 2) == 2.0
    assert EvaluationLog(tmp_path / "log.jsonl", SETTINGS).left == 3


def test_a_kill_in_the_first_line_is_a_new_beginning(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"settings": {"se')
    log = EvaluationLog(tmp_path / "log.jsonl", SETTINGS)
    log("a", lambda: 1.0)
    assert EvaluationLog(tmp_path / "log.jsonl", SETTINGS).left == 1


def test_anew_takes_nothing_and_replaces_the_file(tmp_path):
    EvaluationLog(tmp_path / "log.jsonl", SETTINGS)("a", lambda: 1.0)
    other = {**SETTINGS, "seed": 9}
    with pytest.raises(UserError, match="seed"):
        EvaluationLog(tmp_path / "log.jsonl", other)
    worker = EvaluationLog(tmp_path / "log.jsonl", other, chief=False, anew=True)
    assert worker.left == 0 and worker("b", lambda: 2.0) == 2.0
    assert EvaluationLog(tmp_path / "log.jsonl", SETTINGS).left == 1  # the worker has not written
    assert EvaluationLog(tmp_path / "log.jsonl", other, anew=True)("b", lambda: 2.0) == 2.0
    assert EvaluationLog(tmp_path / "log.jsonl", other).left == 1


def test_another_candidate_is_refused(tmp_path):
    EvaluationLog(tmp_path / "log.jsonl", SETTINGS)("a", lambda: 1.0)
    with pytest.raises(UserError, match="line 2: expected b. Received: a"):
        EvaluationLog(tmp_path / "log.jsonl", SETTINGS)("b", never)


@pytest.mark.parametrize("text", ['{"settings": 3}\n', "[]\n", '{"settings": {"seed": 0, "sizes": [1, 2]}}\n{}\n'])
def test_files_of_something_else_are_refused(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(UserError, match="log.jsonl.*expected"):
        EvaluationLog(tmp_path / "log.jsonl", SETTINGS)
