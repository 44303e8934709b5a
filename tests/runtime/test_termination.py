"""tf_edd.runtime.termination: a loop finishes its step, everything else ends at once."""

import os
import signal

import pytest

from tf_edd.runtime import termination
from tf_edd.runtime.termination import Stopped, finishing, install, requested, stop


@pytest.fixture
def handled():
    """With the handlers of a program."""
    # The tests may run under nohup, which has SIGHUP ignored.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in termination.SIGNALS}
    install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    termination._pending.clear()
    termination._came.clear()


NUMBERS = [(signal.SIGTERM, 143, "Terminated"), (signal.SIGHUP, 129, "Terminated"), (signal.SIGINT, 130, "Interrupted")]


@pytest.mark.parametrize("number, status, name", NUMBERS)
def test_outside_of_a_loop_a_signal_ends_at_once(handled, number, status, name):
    with pytest.raises(Stopped) as end:
        signal.raise_signal(number)
    assert end.value.status == status and end.value.message(resumable=False) == f"{name}."
    assert end.value.message() == f"{name}; the same command continues from the last checkpoint."
    assert not isinstance(end.value, Exception)  # a handler of errors must not take it for one


@pytest.mark.parametrize("number, status, name", NUMBERS)
def test_a_loop_finishes_its_step(handled, capfd, number, status, name):
    steps = []
    with pytest.raises(Stopped) as end, finishing():
        for step in range(1, 9):
            if step == 3:
                signal.raise_signal(number)
            steps.append(step)
            if requested():
                stop(step)
    assert steps == [1, 2, 3] and end.value.status == status
    assert end.value.message() == f"{name}: checkpoint of step 3 written; the same command continues from it."
    assert f"{name}: finishing the step at hand; a second signal ends at once." in capfd.readouterr().err


def test_a_second_signal_does_not_wait(handled):
    with pytest.raises(Stopped) as end, finishing():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it waited")
    assert end.value.status == 143 and "last checkpoint" in end.value.message()


@pytest.mark.parametrize("number, status", [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_the_echo_of_a_signal_waits_for_the_checkpoint(handled, number, status):
    with pytest.raises(Stopped) as end, finishing():
        signal.raise_signal(number)
        signal.raise_signal(number)
        stop(4)
    assert end.value.status == status and "checkpoint of step 4 written" in end.value.message()


def test_a_signal_that_comes_again_later_does_not_wait(handled, monkeypatch):
    now = iter([5.0, 6.5, 6.5])
    monkeypatch.setattr(termination.time, "monotonic", lambda: next(now))
    with pytest.raises(Stopped) as end, finishing():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it waited")
    assert "last checkpoint" in end.value.message()


def test_a_key_that_is_pressed_twice_does_not_wait(handled):
    with pytest.raises(Stopped), finishing():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it waited")


def test_a_signal_that_no_loop_has_taken_is_not_lost(handled):
    with pytest.raises(Stopped), finishing():
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Stopped), finishing():
        pytest.fail("a loop began")


def test_workers_that_compute_together_end_at_once(handled):
    with pytest.raises(Stopped), finishing(possible=False):
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it waited")


def test_an_error_of_the_loop_is_not_hidden(handled):
    with pytest.raises(KeyError), finishing():
        signal.raise_signal(signal.SIGTERM)
        raise KeyError


def test_ignored_signals_stay_ignored(handled):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    install()
    signal.raise_signal(signal.SIGHUP)
    assert not requested()


def test_a_closed_terminal_keeps_nobody_from_writing_a_checkpoint(handled, monkeypatch):
    replaced = []

    def closed(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", closed)
    monkeypatch.setattr(os, "dup2", lambda new, old: replaced.append(old))
    with pytest.raises(Stopped), finishing():
        signal.raise_signal(signal.SIGHUP)
        stop(4)
    assert replaced == [1, 2]
