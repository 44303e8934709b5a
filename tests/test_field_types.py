"""What an annotation accepts, and what it is called in an error."""

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Optional, Protocol

import numpy as np
import pytest

from tf_edd.data import Crop
from tf_edd.discretizers import Argmax, Discretizer
from tf_edd.field_types import ANYTHING, kind_of
from tf_edd.relaxations import Softmax


class Thing:
    pass


class Rate(Protocol):
    def __call__(self, epoch: int) -> float: ...


class Sampler(Protocol):
    phases: ClassVar[tuple[str, ...]]
    simplex: ClassVar[bool] = False

    @property
    def batches(self) -> int: ...

    def __call__(self, space, fitness, *, seed: int): ...


class Fits:
    phases = ("weights",)
    batches = 3

    def __call__(self, space, fitness, *, seed, more=None):
        return None


class CallableThing:
    def __call__(self, first, second):
        return None


def by_epoch(epoch):
    return 0.1


ACCEPTED = [
    (int, (0, -3, np.int64(3), np.uint8(3))),
    (float, (0.5, 1, float("nan"), np.float32(0.5), np.int32(2))),
    (bool, (True, np.bool_(False))),
    (str, ("", "text")),
    (int | None, (None, 3)),
    (Optional[float], (None, 3)),  # noqa: UP045 (users write it)
    (int | str, (3, "epoch")),
    (str | os.PathLike, ("a", __import__("pathlib").Path("a"))),
    (tuple[int, int], ((1, 2), [1, 2], np.array([1, 2]))),
    (tuple[float, ...], ((), (1, 0.5), [0.5], np.ones(3))),
    (tuple, ((), ("a", None), [3])),
    (Sequence[str], ((), ["arch"], ("weights", "arch"))),
    (Collection[str], ({"arch"}, ["arch"])),
    (Mapping[str, int], ({}, {"a": 1})),
    (Literal["a", "b"], ("a", "b")),
    (type[Thing], (Thing,)),
    (Thing, (Thing(),)),
    (Callable, (by_epoch, functools.partial(by_epoch, 3), Fits())),
    (Rate, (by_epoch, lambda epoch, more=1: 0.1, functools.partial(by_epoch), len)),
    (Sampler, (Fits(),)),
    (Any, (None, 3, Thing)),
    (object, (None, 3, Thing)),
]
REFUSED = [
    (int, (1.0, True, "3", None, [3], np.float32(3), np.bool_(True))),
    (float, (True, "0.06", None, 1j, [0.5], np.array([0.5]), Thing)),
    (bool, (0, 1, "a", None)),
    (str, (3, None, b"text", ["text"])),
    (int | None, (0.5, "None", False)),
    (tuple[int, int], ((1,), (1, 2, 3), (1, 0.5), "12", 3, {1: 2}, np.array(3), np.ones((2, 2)))),
    (tuple[float, ...], (("a",), 0.5, "0.5")),
    (Sequence[str], ("arch", {"arch"}, (3,))),
    (Mapping[str, int], ([], "a")),
    (Literal["a", "b"], ("c", None)),
    (type[Thing], (Thing(), int)),
    (Thing, (Thing, None, 3)),
    (Callable, (Fits, 3, "by_epoch")),
    (Rate, (Fits, Fits(), CallableThing(), 0.1, "cosine", lambda: 0.1, None)),
    (Sampler, (Fits, CallableThing(), by_epoch, None)),
]


def pairs(table):
    """Numbered: an address in the name of a test would differ between the processes that share the tests."""
    return [
        pytest.param(kind, value, id=f"{kind}-{number}")
        for kind, values in table
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("annotation, value", pairs(ACCEPTED))
def test_accepts(annotation, value):
    assert kind_of(annotation).accepts(value)


@pytest.mark.parametrize("annotation, value", pairs(REFUSED))
def test_refuses(annotation, value):
    assert not kind_of(annotation).accepts(value)


def test_classes_are_not_their_objects():
    assert kind_of(type[Thing]).accepts(type("Below", (Thing,), {}))
    assert not kind_of(type[Thing]).accepts(int)


@pytest.mark.parametrize(
    "annotation, words",
    [
        (float, "a number"),
        (int | None, "an integer or None"),
        (Optional[bool], "True or False or None"),  # noqa: UP045
        (int | str | None, "an integer, a text in quotes or None"),
        (tuple[int, int] | None, "a list of 2 integers or None"),
        (Sequence[float], "a list of numbers"),
        (tuple[int | None, ...], "a list of integers or None"),
        (Thing, "a Thing"),
        (Rate, "a learning-rate schedule such as @CosineRate()"),
        (Sequence[Rate], "a list of learning-rate schedules such as @CosineRate()"),
        (Literal["a", 3], "one of 'a', 3"),
    ],
)
def test_words(annotation, words):
    assert kind_of(annotation).words == words


def test_what_says_nothing_accepts_everything():
    assert kind_of(Any) is kind_of(object) is kind_of(int | Any) is ANYTHING


def test_a_part_of_another_sort_is_not_taken_for_its_call():
    assert not kind_of(Discretizer).accepts(Softmax()) and not kind_of(Discretizer).accepts(Crop())
    assert kind_of(Discretizer).accepts(Argmax()) and kind_of(Discretizer).accepts(lambda probs, space: None)


def test_only_tuples_are_made_of_lists():
    assert kind_of(tuple[int, ...] | None).is_tuple and not kind_of(Sequence[int]).is_tuple
