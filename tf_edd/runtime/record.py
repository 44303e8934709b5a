"""What a run was given, as JSON: every part with every value, from gin or from Python alike.

A part is a frozen dataclass, a Keras object with `get_config`, a function, a tensor, a number, a text, or a list or
mapping of these. The record of a run is compared on resume, so nothing that a part was given may be missing from it.
"""

import dataclasses
import functools
import hashlib
import inspect
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tf_edd.errors import UserError

KIND = "@"  # the key of a part's class
MOST_LINES = 40  # that a comparison shows


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


@runtime_checkable
class Tensor(Protocol):
    """A tensor or variable of TensorFlow or Keras."""

    def numpy(self) -> np.ndarray | np.generic:
        """Its value."""


def describe(part: Any) -> Any:
    """A part as JSON-able values.

    A class is named; one from outside this package is named with its module. A function is told from others by its
    name, its code, its default values, the variables that it holds and the object that it is a method of; global
    variables that it reads are not recorded.

    Raises:
        UserError: An object that does not tell what it was made of; the dotted name of its place is given.
    """
    return _describe(part, "", ())


def _describe(part: Any, path: str, within: tuple) -> Any:
    """See `describe`.

    Args:
        part: The part.
        path: The dotted name of its place in the record.
        within: The functions that are being described: one may hold itself.
    """

    def inner(value, name):
        return _describe(value, _below(path, name), within)

    if isinstance(part, np.ndarray) and part.ndim == 0:
        part = part[()]
    if isinstance(part, np.generic):
        part = part.item()
    if part is None or isinstance(part, (bool, int, float, str)):
        return part
    if isinstance(part, PurePath):
        return str(part)
    if isinstance(part, np.ndarray):
        return _array(part, inner)
    if isinstance(part, Mapping):
        return {str(key): inner(value, key) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [inner(value, place) for place, value in enumerate(part)]
    if isinstance(part, functools.partial):
        values = {name: inner(getattr(part, name), name) for name in ("func", "args", "keywords")}
        return {KIND: "functools.partial", **values}
    if inspect.isroutine(part):
        return _function(part, path, within)
    if isinstance(part, types.ModuleType):
        return {KIND: part.__name__}
    if isinstance(part, type):
        return {KIND: _name(part)}
    return _object(part, path, within, inner)


def _object(part, path, within, inner) -> Any:
    kind = type(part).__name__ if type(part).__module__.split(".")[0] == "tf_edd" else _name(type(part))
    if isinstance(part, Described):
        return _describe(part.describe(), path, within)
    if dataclasses.is_dataclass(part):
        fields = [field.name for field in dataclasses.fields(part) if field.init]
        return {KIND: kind, **{name: inner(getattr(part, name), name) for name in fields}}
    if isinstance(part, Tensor):
        return _describe(part.numpy(), path, within)
    if isinstance(part, Configured):
        config = {name: value for name, value in part.get_config().items() if name != "name"}
        return {KIND: kind, **_describe(config, path, within)}
    raise UserError(
        "Expected parts whose values can be recorded: frozen dataclasses, Keras objects or functions. Received: "
        f"{type(part).__name__}{f' as {path}' if path else ''}"
    )


def _array(array: np.ndarray, inner) -> dict:
    kind = f"array {array.shape} {array.dtype}"
    if array.dtype.hasobject:  # its bytes are addresses
        return {KIND: kind, "values": inner(array.tolist(), "values")}
    return {KIND: kind, "sha256": hashlib.sha256(array.tobytes()).hexdigest()}


def _function(part, path, within) -> dict:
    """Of a function or a method, built in or not."""
    function, owner = getattr(part, "__func__", part), getattr(part, "__self__", None)
    described: dict[str, Any] = {KIND: _name(part)}
    key = (id(function), id(owner))
    if key in within:
        return described

    def inner(value, name):
        return _describe(value, _below(path, name), (*within, key))

    if owner is not None and not isinstance(owner, types.ModuleType):  # a built-in function "belongs" to its module
        described["self"] = inner(owner, "self")
    code = getattr(function, "__code__", None)
    if code is None:
        return described
    described["code"] = hashlib.sha256(repr(_code(code)).encode()).hexdigest()[:16]
    defaults, positional = function.__defaults__ or (), code.co_varnames[: code.co_argcount]
    values = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    values |= function.__kwdefaults__ or {}
    held = {name: _content(cell) for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    extras = {"defaults": values, "closure": held}
    return {**described, **{name: inner(value, name) for name, value in extras.items() if value}}


def _code(code: types.CodeType) -> tuple:
    """What a function does, without the lines where it stands."""
    return code.co_code, code.co_names, [_constant(value) for value in code.co_consts]


def _constant(value) -> Any:
    if isinstance(value, types.CodeType):
        return _code(value)
    if isinstance(value, tuple):
        return [_constant(element) for element in value]
    if isinstance(value, frozenset):  # its order differs between processes
        return sorted(map(repr, value))
    return repr(value)


def _content(cell) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _below(path: str, name) -> str:
    return ".".join(text for text in (path, str(name)) if text)


def _name(part) -> str:
    return f"{getattr(part, '__module__', None) or 'builtins'}.{part.__qualname__}"


def flatten(record: Any, name: str = "", elements: bool = False) -> dict[str, bool | int | float | str | None]:
    """The values of a record by their dotted names; the class of a part is the value of the part's own name.

    {"method": {"@": "Method", "temperature": {"@": "EntropyDecay", "entropy_gain": 0.06}}}
    -> {"method": "Method", "method.temperature": "EntropyDecay", "method.temperature.entropy_gain": 0.06}

    Args:
        record: JSON-able values.
        name: The name of the whole.
        elements: Whether each element of a list of plain values has a name of its own; otherwise the list is one text.
    """
    if isinstance(record, Mapping):
        found = {}
        for key, value in record.items():
            found |= {name: value} if key == KIND else flatten(value, _below(name, key), elements)
        return found or {name: "{}"}
    if isinstance(record, (list, tuple)):
        plain = not any(isinstance(value, (Mapping, list, tuple)) for value in record)
        if not record or (plain and not elements):
            return {name: str(list(record))}
        found = {}
        for place, value in enumerate(record):
            found |= flatten(value, f"{name}.{place}", elements)
        return found
    return {name: record}


def differences(before: Any, now: Any) -> list[str]:
    """Lines that name each value in which two records differ, `MOST_LINES` at most."""
    old, new = flatten(before, elements=True), flatten(now, elements=True)
    names = [name for name in dict.fromkeys([*old, *new]) if not _same(old.get(name, KIND), new.get(name, KIND))]
    lines = [f"  {name}: started with {_shown(old, name)}, received {_shown(new, name)}" for name in names]
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"  and {more} more"]


def _same(before, now) -> bool:
    return before == now or (before != before and now != now)  # nan is nan


def _shown(values: Mapping, name: str) -> str:
    return repr(values[name]) if name in values else "nothing"
