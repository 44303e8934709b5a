"""The length that a schedule is made for, against that of the search or training which follows it."""

import json
import numbers
from typing import Protocol, runtime_checkable

from tf_edd.errors import UserError
from tf_edd.part import shown


@runtime_checkable
class Lasting(Protocol):
    """A schedule that ends: with the search, or with the training."""

    @property
    def total_epochs(self) -> int | None:
        """Its length; None for one that fits any."""


def total_epochs(schedule) -> int | None:
    """The length that a schedule is made for; None for one that fits any."""
    return schedule.total_epochs if isinstance(schedule, Lasting) else None


def check_length(name: str, schedule, *lengths: int) -> None:
    """Refuses a schedule that is made for another length.

    Args:
        name: Of the schedule, as the user gave it, such as "Method.weight_rate".
        schedule: Of rates or temperatures.
        lengths: Those that it may have, the length of the run first.

    Raises:
        UserError: Another length.
    """
    total = total_epochs(schedule)
    if total is not None and total not in lengths:
        raise UserError(
            f"{name} must last as long as the run, {lengths[0]} epochs (gin files share the macro `epochs`). Received: "
            f"{total} epochs, {shown(schedule)}"
        )


def check_rate(name: str, rate, epochs: int) -> None:
    """Refuses what is no schedule of learning rates for so many epochs; it is asked for the first and the last rate.

    Raises:
        UserError: A rate that is no finite number of at least 0, a schedule that fails for an epoch, or one of another
            length.
    """
    check_length(name, rate, epochs)
    for epoch in dict.fromkeys((0, epochs - 1)):
        expected = f"{name} must give each epoch (from 0) a number of at least 0"
        try:
            value = rate(epoch)
        except (OverflowError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"{expected}. Received: {type(error).__name__} ({error}) for epoch {epoch}, from {shown(rate)}"
            ) from error
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < float("inf"):
            raise UserError(f"{expected}. Received: {shown(value)} for epoch {epoch}, from {shown(rate)}")


def check_temperature(name: str, schedule, *lengths: int) -> None:
    """Refuses what is no schedule of temperatures; it is asked for the first two.

    Args:
        name: Of the schedule.
        schedule: See `tf_edd.schedules.Temperature`.
        lengths: Those that it may have, in ticks, which are epochs where `Method.ticks` is not given.

    Raises:
        UserError: A temperature that is not positive, a state that is no dict of plain numbers, or a schedule of
            another length.
    """
    check_length(name, schedule, *lengths)
    state = _checked_state(name, schedule, schedule.init())
    _checked_state(name, schedule, schedule.update(state, 1, 1.0))


def _checked_state(name: str, schedule, given) -> dict:
    """The state of a pair of state and temperature; a checkpoint holds it as JSON."""
    try:
        state, value = given
        json.dumps(state)
    except (TypeError, ValueError):
        state = value = None
    good = isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value < float("inf")
    if not isinstance(state, dict) or not good:
        raise UserError(
            f"{name} must give a state (a dict of plain numbers) and a positive temperature. Received: {shown(given)} "
            f"from {shown(schedule)}"
        )
    return state
