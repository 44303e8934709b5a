"""tf_edd.runtime.progress: a bar on a terminal, a line an epoch elsewhere."""

import io

import pytest

from tf_edd.runtime import progress as module
from tf_edd.runtime.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def lines(monkeypatch):
    found = []
    monkeypatch.setattr(module.logging, "info", lambda text, *args: found.append(text % args))
    return found


def run(stream, clock, first_step=0, seconds=0.5):
    with Progress("search", epochs=3, steps=4, first_step=first_step, stream=stream, clock=clock) as progress:
        for step in range(first_step, 12):
            clock.now += seconds
            progress.step(images=64, values={"loss": 1.0 / (step + 1)})
            if step % 4 == 3:
                progress.end_epoch({"loss": 0.25, "entropy": 1.6094379})
    return progress


def test_a_file_gets_one_line_an_epoch_and_no_bar(lines):
    stream = io.StringIO()
    run(stream, Clock())
    assert stream.getvalue() == ""
    assert lines == [
        "search 1/3  loss 0.25  entropy 1.609  images/s 128  0:04 left",
        "search 2/3  loss 0.25  entropy 1.609  images/s 128  0:02 left",
        "search 3/3  loss 0.25  entropy 1.609  images/s 128  0:00 left",
    ]


def test_a_terminal_gets_a_bar_with_values_and_no_lines(lines):
    stream = Terminal()
    run(stream, Clock())
    assert lines == []
    last = stream.getvalue().split("\r")[-1]
    for part in ("search 3/3", "12/12", "100%", "loss=0.25", "entropy=1.609"):
        assert part in last


def test_a_resumed_run_counts_from_where_it_was(lines):
    progress = run(io.StringIO(), Clock(), first_step=8)
    assert lines == ["search 3/3  loss 0.25  entropy 1.609  images/s 128  0:00 left"]
    assert progress.seconds_left == 0
    stream = Terminal()
    run(stream, Clock(), first_step=8)
    assert "8/12" in stream.getvalue() and " 7/12" not in stream.getvalue()


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
