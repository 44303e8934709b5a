"""What makes a part of a class, and a checked function of a function: the one place where types are checked.

    @part(module="my_method")
    class GumbelSoftmax(Relaxation):
        scale: float = 1.0

    @checked(module="my_method")
    def my_space(channels: int = 16) -> Space: ...

Both are registered with gin; the fields of the part, a frozen dataclass, and the arguments of the function hold what
their annotations say, or the error names them.
"""

import ast
import dataclasses
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator

import gin
import numpy as np
from typing_extensions import dataclass_transform

from tf_edd.errors import UserError
from tf_edd.field_types import ANYTHING, Kind, kind_of

_LONGEST = 200  # characters of a value in an error


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def part(module: str) -> Callable[[type], type]:
    """Makes a class a part: registered with gin, a frozen dataclass, its fields checked before its `__post_init__`.

    A list or an array in a field annotated as a tuple becomes one. A subclass of a part is a part of its own: it is
    decorated too.

    Args:
        module: Of the name in gin, such as "tf_edd.schedules".

    Raises:
        UserError: (from the class) A field whose value is not what its annotation says.
    """

    def make(cls: type) -> type:
        own, fields = getattr(cls, "__post_init__", None), functools.cache(lambda: _fields(cls))

        def __post_init__(self):
            for name, default, kind in fields():
                value = getattr(self, name)
                if value is not default:
                    _check(cls.__name__, name, value, kind)
                    if kind.is_tuple and isinstance(value, (list, np.ndarray)):
                        values = value.tolist() if isinstance(value, np.ndarray) else value
                        object.__setattr__(self, name, tuple(values))
            if own is not None:
                own(self)

        cls.__post_init__ = __post_init__
        return gin.register(dataclasses.dataclass(frozen=True)(cls), module=module)

    return make


def checked(module: str | None = None) -> Callable[[Callable], Callable]:
    """Makes a function check its arguments by their annotations, and registers it with gin if it is given a module.

    gin gives its bindings to what `gin.get_configurable` returns and to what a gin file calls. Called from Python, the
    function takes its arguments alone.

    Args:
        module: Of the name in gin, such as "tf_edd.spaces".

    Raises:
        UserError: (from the function) An argument that is not what its annotation says.
    """

    def make(function: Callable) -> Callable:
        signature, owner = inspect.signature(function), _owner(function)
        kinds = functools.cache(lambda: _kinds(function, list(signature.parameters)))

        @functools.wraps(function)
        def wrapper(*arguments, **named):
            for parameter, name, value in _bound(signature, arguments, named):
                _check(owner, name, value, kinds()[parameter])
            return function(*arguments, **named)

        wrapper.__signature__ = signature  # gin does not look behind a wrapper
        return gin.register(wrapper, module=module) if module else wrapper

    return make


def _owner(function: Callable) -> str:
    """The name before the argument in an error: of the function, or of the class that it constructs."""
    return function.__qualname__.removesuffix(".__init__").rpartition(".")[2]


def _fields(cls: type) -> list[tuple[str, object, Kind]]:
    """Name, default and kind of each field that is an argument."""
    fields = [field for field in dataclasses.fields(cls) if field.init]
    kinds = _kinds(cls, [field.name for field in fields])
    return [(field.name, field.default, kinds[field.name]) for field in fields]


def _bound(signature: inspect.Signature, arguments, named) -> Iterator[tuple[str, str, object]]:
    """The parameter, the name and the value of each argument; none if they do not fit, for Python says that better."""
    try:
        values = signature.bind(*arguments, **named).arguments
    except TypeError:
        return
    for parameter, value in values.items():
        kind = signature.parameters[parameter].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            yield from ((parameter, name, each) for name, each in value.items())
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((parameter, parameter, each) for each in value)
        else:
            yield parameter, parameter, value


def _kinds(owner, names: Iterable[str]) -> dict[str, Kind]:
    """Name -> what its annotation allows; anything, where there is none or a name in it is imported for types alone."""
    try:
        hints = typing.get_type_hints(owner)
    except NameError:
        hints = {name: _resolved(annotation, owner) for name, annotation in inspect.get_annotations(owner).items()}
    return {name: kind_of(hints[name]) if name in hints else ANYTHING for name in names}


def _resolved(annotation, owner):
    alone = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(alone, vars(sys.modules[owner.__module__]))["it"]
    except NameError:
        return typing.Any


def _check(owner: str, name: str, value, kind: Kind) -> None:
    if not kind.accepts(value):
        raise UserError(f"{owner}.{name} must be {kind.words}. Received: {name}={shown(value)}{_hint(value, kind)}")


def shown(value) -> str:
    """A value on one line of an error: without addresses, and cut where it is long."""
    if isinstance(value, (type, types.FunctionType)):
        return value.__name__
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print an integer of many thousand digits
        return f"a value of type {type(value).__name__}"
    text = re.sub(r"<(?:class '|function )(?:[\w<>]+\.)*(\w+)[^>]*>", r"\1", text)
    text = re.sub(r" object at 0x[0-9a-f]+", "", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _hint(value, kind: Kind) -> str:
    """What kind of thing was received, and what is to be changed, where that can be told."""
    if isinstance(value, str):
        return f" (text{_text_hint(value, kind)})"
    if isinstance(value, bool):
        return " (a truth value)"
    if isinstance(value, float) and value.is_integer() and kind.accepts(int(value)):
        return f" (not an integer; write {int(value)})"
    several = list(value)[:100] if isinstance(value, (list, tuple)) else [value]
    open_ones = [each for each in several if isinstance(each, (type, types.FunctionType)) and not kind.accepts(each)]
    open_ones = [each for each in open_ones if each.__name__ != "<lambda>"]  # it has no name to write brackets after
    if open_ones:
        name = open_ones[0].__name__
        sort = "class" if isinstance(open_ones[0], type) else "function"
        return f" (a {sort}; write @{name}() with brackets in gin, {name}() in Python)"
    if not isinstance(value, (list, tuple)) and kind.accepts([value]):
        return " (write a list)"
    return ""


def _text_hint(text: str, kind: Kind) -> str:
    if "@" in kind.words:
        return "; a part is written without quotes, @Name() in gin, Name() in Python"
    try:
        return "; leave the quotes out" if kind.accepts(ast.literal_eval(text)) else ""
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # not a value of Python
        return ""
