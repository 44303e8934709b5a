"""tf_edd.runtime.progress: a line an epoch, and on a terminal a bar below the lines."""

import io
import logging

import pytest
from tqdm import std as tqdm_standard

from tf_edd.runtime import progress as module
from tf_edd.runtime.progress import Progress, announce, describe_images, duration


class Terminal(io.StringIO):
    """A terminal of a width in columns."""

    def isatty(self):
        return True

    def shown(self) -> list[str]:
        """What stays: each line without what was drawn over."""
        lines = [line.split("\r") for line in self.getvalue().split("\n")]
        return [next((part for part in reversed(parts) if part.strip()), "") for parts in lines]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def lines(monkeypatch):
    found = []
    monkeypatch.setattr(module.logging, "info", lambda text, *arguments: found.append(text % arguments))
    return found


@pytest.fixture
def columns(monkeypatch):
    def set_to(number):
        monkeypatch.setattr(tqdm_standard, "_screen_shape_wrapper", lambda: lambda _: (number - 1, 25))

    return set_to


def run(stream, clock, first_step=0, seconds=0.5):
    with Progress("search", epochs=3, steps=4, first_step=first_step, stream=stream, clock=clock) as progress:
        for step in range(first_step, 12):
            clock.now += seconds
            progress.step(images=64, values={"loss": 1.0 / (step + 1)})
            if step % 4 == 3:
                progress.end_epoch({"loss": 0.25, "entropy": 1.6094379})
    return progress


LINES = [
    "search 1/3  loss 0.25  entropy 1.609  128 images/s  0:04 left",
    "search 2/3  loss 0.25  entropy 1.609  128 images/s  0:02 left",
    "search 3/3  loss 0.25  entropy 1.609  128 images/s  0:00 left",
]


def test_a_file_gets_one_line_an_epoch_and_no_bar(lines):
    stream = io.StringIO()
    run(stream, Clock())
    assert stream.getvalue() == ""
    assert lines == LINES


def test_on_a_terminal_the_lines_stay_and_the_bar_goes(lines):
    stream = Terminal()
    run(stream, Clock())
    assert lines == []
    assert stream.shown()[:3] == LINES
    assert "100 %" in stream.getvalue() and not stream.getvalue().split("\r")[-1].strip()


def test_what_begins_is_shown_on_a_terminal_or_logged(lines):
    about = "cifar10, images 32x32x3, 10 classes"
    text = f"search: {about}; tracing the first step, which takes longest ..."
    stream = Terminal()
    announce("search", about, stream)
    assert stream.shown()[0] == text and lines == []
    announce("search", about, io.StringIO())
    assert lines == [text]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_bar_fits_and_no_value_is_cut(columns, width):
    columns(width)
    stream, clock = Terminal(), Clock()
    values = {"loss": 1.2345, "t": 0.00839, "entropy": 1.609}
    with Progress("search", epochs=25, steps=4, stream=stream, clock=clock, interval=0.0) as progress:
        for _ in range(100):
            clock.now += 30.0
            progress.step(images=64, values=values)
    drawn = [part for part in stream.getvalue().split("\r") if "left, " in part]
    assert drawn and max(map(len, drawn)) < width
    whole = ["loss 1.234", "t 0.00839", "entropy 1.609", "2 images/s"]
    for part in drawn:
        shown = part.split("left, ")[1].split(", ")
        assert shown == whole[: len(shown)]
    assert len(shown) == {60: 1, 80: 3, 100: 4, 120: 4}[width]


def test_what_is_logged_stands_above_the_bar():
    stream, logger = Terminal(), logging.getLogger("tests.progress")
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with Progress("search", epochs=1, steps=4, stream=stream) as progress:
            progress.step(values={"loss": 1.0})
            logger.warning("the cell may be collapsing")
            progress.step(values={"loss": 1.0})
        assert handler.stream is stream
    finally:
        logging.getLogger().removeHandler(handler)
    assert "the cell may be collapsing" in stream.shown()


def test_a_resumed_run_counts_from_where_it_was(lines):
    progress = run(io.StringIO(), Clock(), first_step=8)
    assert lines == LINES[2:]
    assert progress.seconds_left == 0
    stream = Terminal()
    run(stream, Clock(), first_step=8)
    assert stream.shown()[0] == LINES[2] and " 67 %" in stream.getvalue() and " 58 %" not in stream.getvalue()


def test_the_time_left_counts_only_this_process():
    clock = Clock()
    progress = Progress("search", epochs=10, steps=10, first_step=50, stream=io.StringIO(), clock=clock)
    for _ in range(10):
        clock.now += 3.0
        progress.step()
    assert progress.seconds_left == pytest.approx(40 * 3.0)


def test_values_are_computed_only_when_they_are_drawn():
    clock, calls = Clock(), []
    with Progress("search", epochs=1, steps=100, stream=Terminal(), clock=clock, interval=1.0) as progress:
        for _ in range(100):
            clock.now += 0.1
            progress.step(values=lambda: calls.append(1) or {"loss": 1.0})
    assert 9 <= len(calls) <= 10


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (61.4, "1:01"), (3723, "1:02:03")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_describe_images():
    record = {"name": "cifar10", "image_shape": [32, 32, 3], "class_names": ["cat", "dog"], "mean": [0.5]}
    assert describe_images(record) == "cifar10, images 32x32x3, 2 classes"
