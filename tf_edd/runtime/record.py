"""What a run was given, as JSON: every part with every value, from gin or from Python alike.

A part is a frozen dataclass, a Keras object with `get_config`, a function, a number, a text, or a list or mapping of
these. The record of a run is compared on resume, so nothing that a part was given may be missing from it.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tf_edd.errors import UserError

KIND = "@"  # the key of a part's class


@runtime_checkable
class Described(Protocol):
    """A part that is better described otherwise than by its fields, such as images in memory."""

    def describe(self) -> Any:
        """The part as JSON-able values."""


@runtime_checkable
class Configured(Protocol):
    """A Keras object."""

    def get_config(self) -> dict:
        """Constructor arguments."""


def describe(part: Any) -> Any:
    """A part as JSON-able values.

    Raises:
        UserError: an object that does not tell what it was made of.
    """
    if part is None or isinstance(part, (bool, int, float, str)):
        return part
    if isinstance(part, np.generic):
        return part.item()
    if isinstance(part, PurePath):
        return str(part)
    if isinstance(part, np.ndarray):
        return {KIND: f"array {part.shape} {part.dtype}", "sha256": hashlib.sha256(part.tobytes()).hexdigest()}
    if isinstance(part, Mapping):
        return {str(key): describe(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [describe(value) for value in part]
    if isinstance(part, Described) and not isinstance(part, type):
        return part.describe()
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        fields = {field.name: describe(getattr(part, field.name)) for field in dataclasses.fields(part) if field.init}
        return {KIND: type(part).__name__, **fields}
    if isinstance(part, Configured) and not isinstance(part, type):
        config = {name: value for name, value in part.get_config().items() if name != "name"}
        return {KIND: type(part).__name__, **describe(config)}
    if isinstance(part, functools.partial):
        return {KIND: _name(part.func), "args": describe(part.args), **describe(part.keywords)}
    if callable(part) and hasattr(part, "__qualname__"):
        return {KIND: _name(part)}
    raise UserError(
        "Expected parts whose values can be recorded: frozen dataclasses, Keras objects or functions. Received: "
        f"{type(part).__name__}"
    )


def flatten(record: Any, name: str = "") -> dict[str, bool | int | float | str | None]:
    """The values of a record by their dotted names; the class of a part is the value of the part's own name.

    {"method": {"@": "Method", "temperature": {"@": "EntropyDecay", "entropy_gain": 0.06}}}
    -> {"method": "Method", "method.temperature": "EntropyDecay", "method.temperature.entropy_gain": 0.06}
    """
    if isinstance(record, Mapping):
        found = {}
        for key, value in record.items():
            found |= {name: value} if key == KIND else flatten(value, f"{name}.{key}" if name else key)
        return found or {name: "{}"}
    if isinstance(record, (list, tuple)):
        if all(not isinstance(value, (Mapping, list, tuple)) for value in record):
            return {name: str(list(record))}
        found = {}
        for place, value in enumerate(record):
            found |= flatten(value, f"{name}.{place}")
        return found
    return {name: record}


def differences(before: Any, now: Any) -> list[str]:
    """Lines that name each value in which two records differ."""
    old, new = flatten(before), flatten(now)
    return [
        f"  {name}: started with {_shown(old, name)}, received {_shown(new, name)}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name, KIND) != new.get(name, KIND)
    ]


def _shown(values: Mapping, name: str) -> str:
    return repr(values[name]) if name in values else "nothing"


def _name(function) -> str:
    return f"{function.__module__}.{function.__qualname__}"
