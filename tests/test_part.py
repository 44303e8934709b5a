"""What `part` and `checked` make, and the errors of what they check."""

import dataclasses
import functools
import inspect
import timeit
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import gin
import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.part import checked, part, shown

if TYPE_CHECKING:
    from nowhere import Unknown


class Rate(Protocol):
    def __call__(self, epoch: int) -> float: ...


@part(module="test_part")
class Inner:
    """A part in a part."""

    size: int = 3


@part(module="test_part")
class Outer:
    """A part with fields of many kinds."""

    gain: float
    count: int = 1
    name: str | None = None
    shape: tuple[int, ...] = ()
    inner: Inner = Inner()
    rate: Rate | None = None
    inners: Sequence[Inner] = ()
    wrong_default: int = None
    later: "Unknown | None" = None
    fixed: ClassVar[str] = "fixed"

    def __post_init__(self):
        if self.gain <= 0:
            raise UserError(f"gain must be positive. Received: gain={self.gain!r}")


@checked(module="test_part")
def outer_of(gain: float, *sizes: int, names: Sequence[str] = (), **named: Inner | None) -> tuple:
    """A function with arguments of every sort."""
    return gain, sizes, names, named


def of_nothing():
    return Rate


@pytest.fixture(autouse=True)
def no_bindings():
    yield
    gin.clear_config()


def message(make, *arguments, **named) -> str:
    with pytest.raises(UserError) as error:
        make(*arguments, **named)
    return str(error.value)


def test_a_part_is_a_frozen_dataclass_that_gin_makes():
    made = Outer(0.5, shape=[1, 2])
    assert made == Outer(0.5, shape=(1, 2)) and made.shape == (1, 2) and hash(made)
    assert [field.name for field in dataclasses.fields(Outer)][:3] == ["gain", "count", "name"]
    of_array = Outer(0.5, shape=np.array([1, 2]))
    assert of_array == made and hash(of_array) == hash(made) and type(of_array.shape[0]) is int
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.gain = 1.0
    gin.parse_config("Outer.gain = 0.5\nOuter.inner = @Inner()\nInner.size = 7")
    assert gin.get_configurable(Outer)() == Outer(0.5, inner=Inner(7))
    assert gin.get_configurable("test_part.Outer")().gain == 0.5
    with pytest.raises(TypeError, match="gain"):
        Outer()  # Python takes nothing from gin


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"gain": "0.06"}, "Outer.gain must be a number. Received: gain='0.06' (text; leave the quotes out)"),
        ({"gain": "much"}, "Outer.gain must be a number. Received: gain='much' (text)"),
        ({"gain": True}, "Outer.gain must be a number. Received: gain=True (a truth value)"),
        ({"gain": None}, "Outer.gain must be a number. Received: gain=None"),
        ({"gain": [0.5]}, "Outer.gain must be a number. Received: gain=[0.5]"),
        ({"count": 64.0}, "Outer.count must be an integer. Received: count=64.0 (not an integer; write 64)"),
        ({"count": 2.5}, "Outer.count must be an integer. Received: count=2.5"),
        ({"name": 3}, "Outer.name must be a text in quotes or None. Received: name=3"),
        ({"shape": 3}, "Outer.shape must be a list of integers. Received: shape=3 (write a list)"),
        (
            {"inner": Inner},
            "Outer.inner must be an Inner. Received: inner=Inner (a class; write @Inner() with brackets in gin, "
            "Inner() in Python)",
        ),
        ({"rate": "cosine"}, "rate='cosine' (text; a part is written without quotes, @Name() in gin, Name()"),
        ({"inner": Outer(1)}, "Outer.inner must be an Inner. Received: inner=Outer(gain=1"),
        ({"inners": (Inner(), Inner)}, "inners=(Inner(size=3), Inner) (a class; write @Inner() with brackets in gin"),
        ({"inners": Inner()}, "must be a list of Inners. Received: inners=Inner(size=3) (write a list)"),
        ({"rate": 0.1}, "must be a learning-rate schedule such as @CosineRate() or None. Received: rate=0.1"),
        ({"rate": of_nothing}, "rate=of_nothing (a function; write @of_nothing() with brackets"),
        ({"gain": -1.0}, "gain must be positive. Received: gain=-1.0"),
    ],
)
def test_a_field_of_another_type_is_one_line(changes, expected):
    text = message(Outer, **{"gain": 0.5, **changes})
    assert expected in text and "\n" not in text and "0x" not in text


def test_a_lambda_is_not_told_to_be_called_by_its_name():
    assert message(Outer, lambda epoch: 0.1) == "Outer.gain must be a number. Received: gain=<lambda>"


def test_numbers_of_numpy_and_defaults_are_taken_as_they_are():
    assert Outer(np.float32(0.5), np.int64(3)).count == 3
    assert Outer(0.5).wrong_default is None
    assert Outer(0.5, later=object()).later  # nothing is known of a name that is imported for types alone
    assert message(Outer, "a").startswith("Outer.gain must be a number")  # the other fields are checked all the same


def test_a_subclass_checks_its_own_fields_too():
    @part(module="test_part")
    class Below(Inner):
        """With one field more."""

        depth: int = 1

    assert Below(2, 3).depth == 3
    assert message(Below, depth="3").startswith("Below.depth must be an integer")
    assert message(Below, size=0.5).startswith("Below.size must be an integer")


def test_a_part_without_the_decorator_still_works():
    @gin.register(module="test_part")
    @dataclasses.dataclass(frozen=True)
    class ByHand:
        """As users wrote parts."""

        size: int = 3

    gin.parse_config("ByHand.size = 5")
    assert gin.get_configurable(ByHand)().size == 5


def test_a_function_checks_all_its_arguments():
    assert outer_of(0.5, 1, 2, names=["a"], one=None) == (0.5, (1, 2), ["a"], {"one": None})
    assert message(outer_of, "a") == "outer_of.gain must be a number. Received: gain='a' (text)"
    assert message(outer_of, 0.5, 1, 2.5).startswith("outer_of.sizes must be an integer. Received: sizes=2.5")
    assert message(outer_of, 0.5, names="ab").startswith("outer_of.names must be a list of texts in quotes")
    assert message(outer_of, 0.5, two=Inner).startswith("outer_of.two must be an Inner or None. Received: two=Inner (a")
    with pytest.raises(TypeError, match=r"outer_of\(\) missing 1 required"):
        outer_of()


def test_gin_binds_a_function_and_python_calls_it_plainly():
    gin.parse_config("outer_of.gain = 2.0\nouter_of.one = @Inner()")
    assert gin.get_configurable(outer_of)() == (2.0, (), (), {"one": Inner()})
    assert outer_of(3.0) == (3.0, (), (), {})
    assert list(inspect.signature(outer_of).parameters) == ["gain", "sizes", "names", "named"]
    gin.parse_config("outer_of.gain = '2.0'")
    assert "gain='2.0'" in message(gin.get_configurable(outer_of))
    assert "configurable" not in message(outer_of, "2.0")  # gin adds nothing to what Python called


def test_a_function_need_not_be_registered():
    @checked()
    def alone(size: int, anything: Any = None, untyped=None):
        return size, anything, untyped

    assert alone(3, "a", Inner) == (3, "a", Inner)
    assert message(alone, "a").startswith("alone.size")
    with pytest.raises(ValueError, match="alone"):
        gin.get_configurable("alone")


def test_the_arguments_of_a_class_carry_its_name():
    class Plain:
        @checked()
        def __init__(self, size: int = 1):
            self.size = size

    assert Plain(3).size == 3 and message(Plain, "a").startswith("Plain.size must be an integer")


def test_values_are_shown_on_one_line_without_addresses():
    assert shown(Inner) == "Inner" and shown(shown) == "shown"
    assert shown([functools.partial, shown]) == "[partial, shown]"
    assert "0x" not in shown([object(), shown]) and "\n" not in shown(np.ones((20, 20)))
    assert len(shown("a" * 1000)) < 250
    assert shown(10**5000) == "a value of type int"


def test_a_part_is_made_in_little_time():
    seconds = min(timeit.repeat(lambda: Outer(0.5, 3, "a", (1, 2), Inner(2), lambda epoch: 0.1), number=100, repeat=5))
    assert seconds / 100 < 300e-6  # a tenth of that on a free core, but other programs may share it
