"""Ending by a signal: a loop finishes its step and writes a checkpoint first; everything else ends at once.

Only programs `install` the handlers. A loop that can be continued from any step runs `with finishing():`, asks
`requested()` after each step, and calls `stop(step)` behind its checkpoint. A second signal does not wait for that,
unless it is the echo of the first: a closing terminal sends SIGHUP twice, and `timeout` SIGTERM.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

SIGNALS = {signal.SIGTERM: "Terminated", signal.SIGHUP: "Terminated", signal.SIGINT: "Interrupted"}
_ECHO_SECONDS = 1.0
_pending: list[int] = []  # the signals that have come
_came: list[float] = []  # when
_finishing: list[bool] = []  # one element for each loop that is to finish its step


class Stopped(BaseException):
    """A signal has ended the program; like a KeyboardInterrupt it is no `Exception`.

    Attributes:
        status: Of the program: 128 and the number of the signal.
    """

    def __init__(self, number: int, step: int | None = None):
        self._name, self._step = SIGNALS[signal.Signals(number)], step
        self.status = 128 + number
        super().__init__(number)

    def message(self, resumable: bool = True) -> str:
        """One line: what has happened, and how to continue where that is possible."""
        if self._step is not None:
            return f"{self._name}: checkpoint of step {self._step} written; the same command continues from it."
        return f"{self._name}{'; the same command continues from the last checkpoint' if resumable else ''}."


def install() -> None:
    """Handles SIGTERM, SIGHUP and SIGINT from now on; one that is ignored, as under nohup, stays so."""
    _pending.clear()
    _came.clear()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


@contextlib.contextmanager
def finishing(possible: bool = True) -> Iterator[None]:
    """Within it the first signal waits for `stop`.

    Args:
        possible: False for a loop that cannot stop by itself: workers that compute together would wait for it.

    Raises:
        Stopped: A signal came that nobody has waited for.
    """
    if not possible:
        yield
        return
    _raise_pending()
    _finishing.append(True)
    try:
        yield
    finally:
        _finishing.pop()
    _raise_pending()


def requested() -> bool:
    """Whether a signal asks for the end."""
    return bool(_pending)


def stop(step: int) -> None:
    """Ends the program; the checkpoint of this step is written.

    Raises:
        Stopped: Always.
    """
    raise Stopped(_pending[0], step)


def _raise_pending() -> None:
    if _pending:
        raise Stopped(_pending[0])


def _handle(number, frame) -> None:
    del frame
    if _is_echo(number):
        return
    _pending.append(number)
    _came.append(time.monotonic())
    if not _finishing or len(_pending) > 1:
        raise Stopped(number)
    _say(f"\n{SIGNALS[signal.Signals(number)]}: finishing the step at hand; a second signal ends at once.\n")


def _is_echo(number: int) -> bool:
    """Whether a loop is finishing its step for the same signal, which came just now. A key is pressed on purpose."""
    if not _finishing or not _pending or number != _pending[0] or number == signal.SIGINT:
        return False
    return number == signal.SIGHUP or time.monotonic() - _came[0] < _ECHO_SECONDS


def _say(text: str) -> None:
    try:
        os.write(2, text.encode())
    except OSError:  # the terminal has been closed: what else is written there must not fail, for the checkpoint's sake
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)
