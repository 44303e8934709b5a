"""The log lines of the programs."""

import logging

import pytest

from launch.log_format import ShortFormatter


@pytest.mark.parametrize(
    "level, expected",
    [
        (logging.INFO, "search 3/25  loss 1.5"),
        (logging.WARNING, "warning: search 3/25  loss 1.5"),
        (logging.ERROR, "error: search 3/25  loss 1.5"),
        (logging.DEBUG, "progress.py:84: search 3/25  loss 1.5"),
    ],
)
def test_a_line_is_the_time_the_level_and_the_text(level, expected):
    record = logging.LogRecord("absl", level, "/a/progress.py", 84, "search %d/%d  loss 1.5", (3, 25), None)
    time, _, text = ShortFormatter().format(record).partition(" ")
    assert text == expected
    assert [len(part) for part in time.split(":")] == [2, 2, 2] and time.replace(":", "").isdigit()


def test_a_traceback_follows():
    try:
        raise ValueError("why")
    except ValueError as error:
        information = (type(error), error, error.__traceback__)
    record = logging.LogRecord("absl", logging.ERROR, "/a/progress.py", 84, "failed", None, information)
    assert ShortFormatter().format(record).splitlines()[-1] == "ValueError: why"
