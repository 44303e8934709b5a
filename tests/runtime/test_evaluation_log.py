"""The log of measurements: what was measured is not measured again, and nothing else is taken for it."""

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime.evaluation_log import EvaluationLog, check_accuracies

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


SETTINGS_LINE = '{"settings": {"seed": 0, "sizes": [1, 2]}}'


def written(folder, *values):
    """A log with these texts as fitness."""
    lines = [f'{{"candidate": "{place}", "fitness": {value}}}' for place, value in enumerate(values)]
    (folder / "log.jsonl").write_text("\n".join([SETTINGS_LINE, *lines, ""]))
    return folder / "log.jsonl"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"0.5"', "null", "true", "[0.5]", f"1{'0' * 400}"])
def test_a_fitness_that_is_no_finite_number_is_not_believed(tmp_path, value):
    path = written(tmp_path, 0.5, value)
    for read in (lambda: EvaluationLog(path, SETTINGS), lambda: check_accuracies(path)):
        with pytest.raises(UserError, match="log.jsonl, line 3: expected a fitness from"):
            read()


@pytest.mark.parametrize("value", [9.0, -0.1, 1.0001])
def test_an_accuracy_is_a_share(tmp_path, value):
    path = written(tmp_path, 0, 1.0, value)
    assert EvaluationLog(path, SETTINGS).left == 3  # of something else than accuracies
    with pytest.raises(UserError, match=f"line 4: expected a fitness from 0 to 1. Received: {value}"):
        check_accuracies(path)


def test_accuracies_and_a_log_that_is_not_there_are_accepted(tmp_path):
    check_accuracies(tmp_path / "log.jsonl")
    check_accuracies(written(tmp_path, 0, 0.25, 1))


def test_more_measurements_than_are_asked_for_are_a_damaged_log(tmp_path):
    log = EvaluationLog(written(tmp_path, 0.5, 0.25), SETTINGS)
    log("0", never)
    with pytest.raises(UserError, match="Expected 1 measurements in .*log.jsonl. Received: 2"):
        log.check_read()
    log("1", never)
    log.check_read()


def test_other_settings_are_named(tmp_path):
    written(tmp_path, 0.5)
    with pytest.raises(UserError) as refusal:
        EvaluationLog(tmp_path / "log.jsonl", {"seed": 1, "sizes": (1, 3)})
    assert str(refusal.value).splitlines()[1:-1] == [
        "  seed: started with 0, received 1",
        "  sizes.1: started with 2, received 3",
    ]
