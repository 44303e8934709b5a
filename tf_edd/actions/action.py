"""The interface of an action, and what actions share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import tensorflow as tf

from tf_edd.actions.search_state import SearchState
from tf_edd.errors import UserError
from tf_edd.runtime import files


class Action(Protocol):
    """Something done at named moments of a search, by the chief process only."""

    def begin(self, state: SearchState) -> None:
        """Before the first step of this process; `state.history` is not empty when a search is continued."""

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """After an epoch, which is the last of `state.history`, and before its checkpoint.

        Args:
            state: the search; `state.epoch` counts the finished epochs, this one included.
            metrics: TensorBoard tag -> value. An action may add to it for those after it.
        """

    def end(self, state: SearchState) -> None:
        """After the last epoch."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses, told by Python or by TensorFlow, into an error that names `path`.

    Raises:
        UserError: full disk, read-only folder and the like.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise files.write_error(path, error) from error


def check_at_least_one(**values: int) -> None:
    """Refuses counts that are not integers from 1.

    Raises:
        UserError: one that is not.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name} must be an integer of at least 1. Received: {name}={value!r}")
