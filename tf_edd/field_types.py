"""Whether a value is what an annotation says, and the annotation in words.

Stricter and wider than `isinstance`: True is no number, a NumPy number is one, a list may stand for a tuple, a class is
never an object of itself, and an object fits a Protocol when it has its members and takes the arguments of its call.
"""

import collections.abc
import dataclasses
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# The interfaces of parts, by the name of their class: what a user calls them, and the part that an error names.
_INTERFACES = {
    "Action": ("an action", "GenotypeLog"),
    "Augmentation": ("an augmentation", "Crop"),
    "Data": ("a data set", "Digits"),
    "Decisions": ("a maker of decisions", "SequentialGreedy"),
    "Discretizer": ("a discretizer", "Argmax"),
    "EdgePart": ("an edge part", "PartialChannels"),
    "FinalSize": ("a size of the final network", "FinalSize"),
    "ImageSampler": ("a sampler of images", "UniformImages"),
    "Method": ("a method", "Method"),
    "Optimizer": ("a Keras optimizer", "SGD"),
    "PathSampler": ("a sampler of paths", "UniformPaths"),
    "Perturbation": ("a perturbation", "RandomSmoothing"),
    "Rate": ("a learning-rate schedule", "CosineRate"),
    "Regularizer": ("a regularizer", "SelfDistillation"),
    "Relaxation": ("a relaxation", "Softmax"),
    "Selector": ("a selector", "RandomSearch"),
    "SizeLimits": ("limits of the size", "SizeLimits"),
    "Space": ("a Space", "nas_bench_201"),
    "StepPart": ("a step", "FirstOrder"),
    "Temperature": ("a schedule of the temperature", "EntropyDecay"),
    "TrainingRecipe": ("a training recipe", "TrainingRecipe"),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What an annotation allows.

    Attributes:
        words: With its article, such as "a number".
        accepts: Whether a value is of this kind.
        plural: For what holds several of them, such as "numbers".
        is_tuple: Whether a list is to become a tuple.
    """

    words: str
    accepts: Callable[[Any], bool]
    plural: str = "values"
    is_tuple: bool = False


def _is_number(value, kind) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


ANYTHING = Kind("a value", lambda value: True)
_SIMPLE = {
    type(None): Kind("None", lambda value: value is None, "None"),
    bool: Kind("True or False", lambda value: isinstance(value, (bool, np.bool_)), "True or False"),
    int: Kind("an integer", lambda value: _is_number(value, numbers.Integral), "integers"),
    float: Kind("a number", lambda value: _is_number(value, numbers.Real), "numbers"),
    str: Kind("a text in quotes", lambda value: isinstance(value, str), "texts in quotes"),
    os.PathLike: Kind("a path", lambda value: isinstance(value, os.PathLike), "paths"),
}


@functools.cache
def kind_of(annotation) -> Kind:
    """What this annotation, which holds no names to be resolved, allows; `ANYTHING` where it says nothing checkable."""
    if annotation is None or annotation in _SIMPLE:
        return _SIMPLE[type(None) if annotation is None else annotation]
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _any_of([kind_of(argument) for argument in arguments])
    if origin is typing.Literal:
        words = ", ".join(map(repr, arguments))
        return Kind(f"one of {words}", lambda value: any(value == allowed for allowed in arguments), words)
    if origin is collections.abc.Callable:
        return Kind("a function", lambda value: callable(value) and not isinstance(value, type), "functions")
    if origin in (Any, object) or not isinstance(origin, type):
        return ANYTHING
    if origin is type:
        base = arguments[0] if arguments and isinstance(arguments[0], type) else object
        return Kind("a class", lambda value: isinstance(value, type) and issubclass(value, base), "classes")
    if issubclass(origin, collections.abc.Mapping):
        return Kind("a dict", lambda value: isinstance(value, collections.abc.Mapping), "dicts")
    if issubclass(origin, collections.abc.Collection) and not issubclass(origin, (str, bytes)):
        return _list_of(origin, arguments)
    return _object_of(origin)


def _any_of(kinds: Sequence[Kind]) -> Kind:
    if any(kind is ANYTHING for kind in kinds):
        return ANYTHING
    *first, last = sorted(kinds, key=lambda kind: kind.words == "None")
    return Kind(
        f"{', '.join(kind.words for kind in first)} or {last.words}",
        lambda value: any(kind.accepts(value) for kind in kinds),
        f"{', '.join(kind.plural for kind in first)} or {last.plural}",
        any(kind.is_tuple for kind in kinds),
    )


def _list_of(origin: type, arguments: Sequence) -> Kind:
    """A list, a tuple or an array; a tuple of so many annotations has that length."""
    items = [kind_of(argument) for argument in arguments if argument is not Ellipsis] or [ANYTHING]
    fixed = issubclass(origin, tuple) and bool(arguments) and arguments[-1] is not Ellipsis
    listed = (list, tuple, np.ndarray, origin)

    def accepts(value) -> bool:
        if isinstance(value, (str, bytes, collections.abc.Mapping)) or not isinstance(value, listed):
            return False
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return False
        if not fixed:
            return all(map(items[0].accepts, value))
        return len(value) == len(items) and all(kind.accepts(item) for kind, item in zip(items, value, strict=True))

    plural = f"{len(items)} {items[0].plural}" if fixed else items[0].plural
    return Kind(f"a list of {plural}", accepts, f"lists of {plural}", origin is tuple)


def _object_of(origin: type) -> Kind:
    words, example = _INTERFACES.get(origin.__name__, (f"{_article(origin.__name__)} {origin.__name__}", None))
    noun = words.split(" ", 1)[1]
    plural = noun.replace(" of ", "s of ", 1) if " of " in noun else f"{noun}s"
    if example is not None:
        words, plural = f"{words} such as @{example}()", f"{plural} such as @{example}()"
    if not getattr(origin, "_is_protocol", False):
        return Kind(words, lambda value: isinstance(value, origin), plural)
    members = _members(origin)

    def accepts(value) -> bool:
        bases = type(value).__mro__
        return origin in bases or (not _is_another(bases, origin) and _fits(value, members))

    return Kind(words, accepts, plural)


@functools.lru_cache(maxsize=512)
def _is_another(bases: tuple[type, ...], protocol: type) -> bool:
    """Whether the class is that of another part: by its call a relaxation could be a discretizer."""
    names = {base.__name__ for base in bases[1:] if base.__module__.startswith("tf_edd.")}
    return bool(names & (_INTERFACES.keys() - {protocol.__name__}))


def _members(protocol: type) -> dict[str, inspect.Signature | None]:
    """What an object needs to fit: name -> the signature of `__call__`, None for others. What has a value may lack."""
    found = {}
    for base in protocol.__mro__:
        if not getattr(base, "_is_protocol", False):
            continue
        content = vars(base)
        names = [name for name, value in content.items() if isinstance(value, (types.FunctionType, property))]
        names += [name for name in content.get("__annotations__", {}) if name not in content]
        found |= {name: None for name in names if not name.startswith("_")}
        if "__call__" in content and isinstance(content["__call__"], types.FunctionType):
            found["__call__"] = inspect.signature(content["__call__"])
    return found


def _fits(value, members: dict[str, inspect.Signature | None]) -> bool:
    if isinstance(value, (type, types.ModuleType)):
        return False
    if not all(hasattr(value, name) for name in members):
        return False
    called = members.get("__call__")
    return called is None or _takes(value, called)


def _takes(value, called: inspect.Signature) -> bool:
    """Whether a call with the arguments of this signature, which begins with `self`, would find its parameters."""
    if isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)):
        return _binds(value, called, len(called.parameters) - 1)
    return _objects_take(type(value), called)


@functools.lru_cache(maxsize=512)
def _objects_take(cls: type, called: inspect.Signature) -> bool:
    return _binds(cls.__call__, called, len(called.parameters))


def _binds(function, called: inspect.Signature, count: int) -> bool:
    """Whether a function takes that many arguments, those by keyword among them; yes, where it does not tell."""
    named = [p.name for p in called.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * (count - len(named)), **dict.fromkeys(named))
    except TypeError:
        return False
    return True


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"
