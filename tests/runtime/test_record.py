"""tf_edd.runtime.record: what a run was given, as JSON, and where two runs differ."""

import dataclasses
import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.runtime.record import MOST_LINES, describe, differences, flatten
from tf_edd.schedules import ConstantRate

INNER, OUTER = f"{__name__}.Inner", f"{__name__}.Outer"


@dataclasses.dataclass(frozen=True)
class Inner:
    gain: float = 0.06


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Any = Inner()
    sizes: tuple = (1, 2)
    name: str | None = None
    derived: int = dataclasses.field(init=False, default=5)


class Images:
    """Describes itself."""

    def describe(self):
        return {"@": "Images", "count": 3}


def double(x):
    return 2 * x


def test_a_dataclass_is_described_by_its_class_and_the_fields_that_it_was_given():
    inner = {"@": INNER, "gain": 0.06}
    assert describe(Outer()) == {"@": OUTER, "inner": inner, "sizes": [1, 2], "name": None}
    assert describe({"all": [Outer(Inner(0.5)), (Inner(),)]}) == {
        "all": [{"@": OUTER, "inner": {"@": INNER, "gain": 0.5}, "sizes": [1, 2], "name": None}, [inner]]
    }


@pytest.mark.parametrize("value", [None, True, 3, 0.1, "text"])
def test_plain_values_stay(value):
    assert describe(value) is value


def test_numpy_scalars_and_paths_become_plain():
    assert describe(np.float32(0.5)) == 0.5 and type(describe(np.int64(3))) is int
    assert describe(Path("runs/a")) == "runs/a"


def test_an_array_is_described_by_its_content():
    # sha256 of the bytes 0, 1, 2
    digest = "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"
    assert describe(np.arange(3, dtype=np.uint8)) == {"@": "array (3,) uint8", "sha256": digest}
    assert describe(np.array([0, 1, 3], np.uint8))["sha256"] != digest


def test_an_object_that_describes_itself_does_so():
    assert describe({"data": Images()}) == {"data": {"@": "Images", "count": 3}}


def test_a_class_of_this_package_is_named_and_another_one_with_its_module():
    """Two classes of one name are two."""
    assert describe(ConstantRate(0.5)) == {"@": "ConstantRate", "value": 0.5}

    @dataclasses.dataclass(frozen=True)
    class ConstantRate2:
        value: float

    other = dataclasses.make_dataclass("ConstantRate", [("value", float)], frozen=True, namespace={})
    other.__module__ = "my_method"
    assert describe(other(0.5)) == {"@": "my_method.ConstantRate", "value": 0.5}
    assert describe(ConstantRate2(0.5))["@"].startswith(f"{__name__}.test_a_class")


@pytest.mark.parametrize("make", [SGD, keras.optimizers.SGD])
def test_a_keras_optimizer_is_described_by_its_configuration(make):
    described = describe(make(learning_rate=0.25, momentum=0.75, nesterov=True, name="mine"))
    assert described["@"] == ("SGD" if make is SGD else "keras.src.optimizers.sgd.SGD") and "name" not in described
    assert (described["learning_rate"], described["momentum"], described["nesterov"]) == (0.25, 0.75, True)
    assert json.loads(json.dumps(described)) == described
    assert describe(make(momentum=0.5)) != describe(make(momentum=0.75))


def test_functions_and_classes_are_described_by_their_names():
    assert describe(double)["@"] == f"{__name__}.double"
    assert describe(Inner) == {"@": INNER}
    assert describe(functools.partial(math.hypot, 3, y=Inner())) == {
        "@": "functools.partial",
        "func": {"@": "math.hypot"},
        "args": [3],
        "keywords": {"y": {"@": INNER, "gain": 0.06}},
    }


def make(value):
    return lambda epoch: value * epoch


def with_default(value):
    def rate(epoch, base=value, *, factor=1):
        return base * factor * epoch

    return rate


def with_keyword(value):
    def rate(epoch, *, base=value):
        return base * epoch

    return rate


class Rates:
    """An object with a method, that tells what it was made of."""

    def __init__(self, base):
        self.base = base

    def describe(self):
        return {"@": "Rates", "base": self.base}

    def rate(self, epoch):
        return self.base * epoch


@pytest.mark.parametrize(
    "first, second, differ",
    [
        (lambda e: 0.1, lambda e: 0.2, "part.code"),
        (lambda e: 0.1 * e, lambda e: 0.1 + e, "part.code"),
        (lambda e: math.sin(e), lambda e: math.cos(e), "part.code"),
        (lambda e: [x + 1 for x in e], lambda e: [x + 2 for x in e], "part.code"),
        (make(7), make(8), "part.closure.value"),
        (make(Inner(1.0)), make(Inner(2.0)), "part.closure.value.gain"),
        (with_default(7), with_default(8), "part.defaults.base"),
        (with_keyword(7), with_keyword(8), "part.defaults.base"),
        (Rates(7).rate, Rates(8).rate, "part.self.base"),
        (functools.partial(make(7), 1), functools.partial(make(8), 1), "part.func.closure.value"),
        ("a".join, "b".join, "part.self"),
    ],
)
def test_functions_that_compute_different_things_are_told_apart(first, second, differ):
    before, again, now = (json.loads(json.dumps(describe({"part": part}))) for part in (first, first, second))
    assert before == again
    assert [line.split(":")[0].strip() for line in differences(before, now)] == [differ]


def test_equal_functions_made_anew_are_the_same():
    for build in (make, with_default, with_keyword):
        assert describe(build(7)) == describe(build(7))
    assert describe(Rates(7).rate) == describe(Rates(7).rate)


def test_a_function_is_the_same_in_another_process():
    """Whatever the seed of the hashes is, by which a set of constants is ordered."""
    code = "from tf_edd.runtime.record import describe; print(describe(lambda e: e in {'a', 'b', 'c', 'd', 'e', 'f'}))"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert printed[0] == printed[1] == printed[2] and "code" in printed[0]


def test_a_function_may_hold_itself():
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    described = describe(factorial)
    assert described["closure"] == {"factorial": {"@": described["@"]}}


@pytest.mark.parametrize("part", [tf.constant(0.25), tf.Variable(0.25), keras.Variable(0.25), np.array(0.25)])
def test_a_scalar_tensor_is_a_number(part):
    assert describe({"part": part}) == {"part": 0.25}


@pytest.mark.parametrize("convert", [tf.constant, tf.Variable, keras.Variable])
def test_a_tensor_is_described_by_its_content(convert):
    values = np.arange(3, dtype=np.float32)
    assert describe(convert(values)) == describe(values) != describe(convert(values + 1))


def test_an_array_of_objects_is_described_by_them():
    assert describe(np.array([Inner(1.0), "a"], object))["values"] == [{"@": INNER, "gain": 1.0}, "a"]


def test_numpy_scalars_anywhere_become_plain():
    described = describe({"a": [np.float64(0.5), {"b": np.int32(1)}], "c": Outer(sizes=(np.int64(3),), name=np.True_)})
    assert json.loads(json.dumps(described)) == described
    assert type(described["a"][0]) is float and described["c"]["name"] is True


class Silent:
    """Does not tell what it was made of."""

    def __call__(self):
        return 1


@pytest.mark.parametrize("part", [object(), Silent(), {1}])
def test_an_object_that_does_not_tell_is_refused(part):
    with pytest.raises(UserError, match=f"can be recorded.*Received: {type(part).__name__}"):
        describe({"parts": [part]})


@dataclasses.dataclass(frozen=True)
class Holder:
    part: Any


@pytest.mark.parametrize(
    "record, place",
    [
        ({"method": Holder(Silent())}, "method.part"),
        ({"method": {"regularizers": [Inner(), Holder(Silent())]}}, "method.regularizers.1.part"),
        ({"rate": make(Silent())}, "rate.closure.value"),
        ({"rate": with_default(Silent())}, "rate.defaults.base"),
        ({"rate": functools.partial(double, Silent())}, "rate.args.0"),
        ({"rate": Silent().__call__}, "rate.self"),
    ],
)
def test_the_error_says_where_it_is(record, place):
    with pytest.raises(UserError, match=f"Received: Silent as {place}$"):
        describe(record)


def test_values_are_flattened_under_dotted_names():
    assert flatten(describe({"method": Outer(), "steps": [Inner(1.0), Inner(2.0)], "empty": {}, "none": []})) == {
        "method": OUTER,
        "method.inner": INNER,
        "method.inner.gain": 0.06,
        "method.sizes": "[1, 2]",
        "method.name": None,
        "steps.0": INNER,
        "steps.0.gain": 1.0,
        "steps.1": INNER,
        "steps.1.gain": 2.0,
        "empty": "{}",
        "none": "[]",
    }


def test_differences_name_each_value():
    before, now = describe({"seed": 0, "method": Outer()}), describe({"seed": 0, "method": Outer(Inner(0.5), name="a")})
    assert differences(before, now) == [
        "  method.inner.gain: started with 0.06, received 0.5",
        "  method.name: started with None, received 'a'",
    ]
    assert differences(before, before) == []
    assert differences(before, json.loads(json.dumps(before))) == []


def test_differences_name_what_only_one_has():
    before, now = describe({"part": Inner()}), describe({"part": None, "more": 1})
    assert differences(before, now) == [
        f"  part: started with '{INNER}', received None",
        "  part.gain: started with 0.06, received nothing",
        "  more: started with nothing, received 1",
    ]
    assert differences({"a": None, "b": 1}, {"b": 1}) == ["  a: started with None, received nothing"]


def test_lists_are_compared_element_by_element():
    assert differences({"sizes": [1, 2], "none": []}, {"sizes": [1.0, 2.0], "none": []}) == []
    assert differences({"sizes": [1, 2]}, {"sizes": [1, 3, 4]}) == [
        "  sizes.1: started with 2, received 3",
        "  sizes.2: started with nothing, received 4",
    ]
    assert differences({"sizes": []}, {"sizes": [1]}) == [
        "  sizes: started with '[]', received nothing",
        "  sizes.0: started with nothing, received 1",
    ]


def test_not_a_number_equals_itself():
    assert differences({"a": math.nan, "b": [math.nan]}, {"a": math.nan, "b": [math.nan]}) == []
    assert differences({"a": math.nan}, {"a": 1.0}) == ["  a: started with nan, received 1.0"]


def test_a_thousand_differences_are_not_all_named():
    lines = differences({"names": list(range(1000))}, {"names": list(range(1, 1001))})
    assert len(lines) == MOST_LINES + 1 and lines[-1] == f"  and {1000 - MOST_LINES} more"
