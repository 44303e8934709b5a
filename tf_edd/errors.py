"""Errors that a user can act on, and the checks that raise them in the same words everywhere."""

import numbers
import sys
from collections.abc import Collection

_LONGEST_INTEGER = 1024  # bits; more than any float holds


class UserError(ValueError):
    """Something the user gave cannot be used; the message says what was expected and what was received.

    The launch programs print the message alone, without a traceback, and exit with this status.

    Attributes:
        status: Of the program, 2.
    """

    status = 2


def require_count(least: int = 1, note: str = "", **values) -> None:
    """Raises UserError for a value that is not an integer of at least `least`; `note` names what else is allowed."""
    for name, value in values.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise UserError(f"{name} must be an integer of at least {least}{note}. Received: {name}={_shown(value)}")


def require_positive(note: str = "", **values) -> None:
    """Raises UserError for a value that is not a number above 0, or one that no float can hold."""
    for name, value in values.items():
        if not _is_number(value) or not 0 < value <= sys.float_info.max:
            raise UserError(f"{name} must be a positive number{note}. Received: {name}={_shown(value)}")


def require_share(below_one: bool = False, **values) -> None:
    """Raises UserError for a value outside [0, 1], or [0, 1) with `below_one`."""
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value <= 1 or (below_one and value == 1):
            raise UserError(f"{name} must lie in [0, 1{')' if below_one else ']'}. Received: {name}={_shown(value)}")


def require_one_of(allowed: Collection, **values) -> None:
    """Raises UserError for a value that is not among those allowed."""
    for name, value in values.items():
        if value not in allowed:
            raise UserError(f"{name} must be one of {', '.join(map(repr, allowed))}. Received: {name}={_shown(value)}")


def _shown(value) -> str:
    """The value as Python writes it; an integer of thousands of digits, which Python refuses to write, in words."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        return f"an integer of more than {_LONGEST_INTEGER} bits"
    return repr(value)


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
