"""The length that a schedule is made for, against that of the search or training which follows it."""

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
    """Refuses what is no schedule of learning rates for so many epochs; it is asked for the first rate.

    Raises:
        UserError: A rate that is no finite number of at least 0, or a schedule of another length.
    """
    check_length(name, rate, epochs)
    first = rate(0)
    if isinstance(first, bool) or not isinstance(first, numbers.Real) or not 0 <= first < float("inf"):
        raise UserError(
            f"{name} must give each epoch (from 0) a number of at least 0. Received: {shown(first)} for epoch 0, from "
            f"{shown(rate)}"
        )


def check_temperature(name: str, schedule, epochs: int, warmup_epochs: int) -> None:
    """Refuses what is no schedule of temperatures; it is asked for the first two.

    Args:
        name: Of the schedule.
        schedule: See `tf_edd.schedules.Temperature`.
        epochs: Length of the search.
        warmup_epochs: Those of them in which the temperature stays.

    Raises:
        UserError: A temperature that is not positive, a state that is no dict, or a schedule of another length.
    """
    check_length(name, schedule, epochs, epochs - warmup_epochs)
    state, first = schedule.init()
    after, second = schedule.update(state, 1, 1.0)
    for given, value in ((state, first), (after, second)):
        if not isinstance(given, dict) or not isinstance(value, numbers.Real) or not 0 < value < float("inf"):
            raise UserError(
                f"{name} must give a state (a dict) and a positive temperature. Received: {shown((given, value))} from "
                f"{shown(schedule)}"
            )
