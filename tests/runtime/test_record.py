"""tf_edd.runtime.record: what a run was given, as JSON, and where two runs differ."""

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.runtime.record import describe, differences, flatten


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
    inner = {"@": "Inner", "gain": 0.06}
    assert describe(Outer()) == {"@": "Outer", "inner": inner, "sizes": [1, 2], "name": None}
    assert describe({"all": [Outer(Inner(0.5)), (Inner(),)]}) == {
        "all": [{"@": "Outer", "inner": {"@": "Inner", "gain": 0.5}, "sizes": [1, 2], "name": None}, [inner]]
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


@pytest.mark.parametrize("make", [SGD, keras.optimizers.SGD])
def test_a_keras_optimizer_is_described_by_its_configuration(make):
    described = describe(make(learning_rate=0.25, momentum=0.75, nesterov=True, name="mine"))
    assert described["@"] == "SGD" and "name" not in described
    assert (described["learning_rate"], described["momentum"], described["nesterov"]) == (0.25, 0.75, True)
    assert json.loads(json.dumps(described)) == described
    assert describe(make(momentum=0.5)) != describe(make(momentum=0.75))


def test_functions_and_classes_are_described_by_their_names():
    assert describe(double) == {"@": f"{double.__module__}.double"}
    assert describe(Inner) == {"@": f"{__name__}.Inner"}
    assert describe(functools.partial(math.hypot, 3, y=Inner())) == {
        "@": "math.hypot",
        "args": [3],
        "y": {"@": "Inner", "gain": 0.06},
    }


class Silent:
    """Does not tell what it was made of."""

    def __call__(self):
        return 1


@pytest.mark.parametrize("part", [object(), Silent(), {1}])
def test_an_object_that_does_not_tell_is_refused(part):
    with pytest.raises(UserError, match=f"can be recorded.*Received: {type(part).__name__}"):
        describe({"parts": [part]})


def test_values_are_flattened_under_dotted_names():
    assert flatten(describe({"method": Outer(), "steps": [Inner(1.0), Inner(2.0)], "empty": {}, "none": []})) == {
        "method": "Outer",
        "method.inner": "Inner",
        "method.inner.gain": 0.06,
        "method.sizes": "[1, 2]",
        "method.name": None,
        "steps.0": "Inner",
        "steps.0.gain": 1.0,
        "steps.1": "Inner",
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
        "  part: started with 'Inner', received None",
        "  part.gain: started with 0.06, received nothing",
        "  more: started with nothing, received 1",
    ]
    assert differences({"a": None, "b": 1}, {"b": 1}) == ["  a: started with None, received nothing"]
