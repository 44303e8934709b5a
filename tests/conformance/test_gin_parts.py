"""All parts that gin can make: one object a part, recorded by all its values, printed with them."""

import dataclasses
import inspect
import json

import gin
import gin.config as gin_internal
import keras
import pytest
from conformance.rows import PARTS, each

from tf_edd.runtime.record import KIND, describe, differences
from tf_edd.search import parts  # noqa: F401 (registers all of them)
from tf_edd.spaces import Space


def registered() -> dict[type, str]:
    """Class -> name, for every class of the package that gin can make."""
    entries = {selector: entry.wrapped for selector, entry in gin_internal._REGISTRY.items()}
    return {
        made: selector
        for selector, made in entries.items()
        if inspect.isclass(made) and made.__module__.split(".")[0] == "tf_edd"
    }


NAMES = registered()
ROWS = [row for row in PARTS if type(row.build()) in NAMES]


@pytest.fixture(autouse=True)
def clear():
    gin.clear_config()
    yield
    gin.clear_config()


def values(part) -> dict:
    """What it was made of."""
    if isinstance(part, keras.optimizers.Optimizer):
        return {name: value for name, value in part.get_config().items() if name not in ("learning_rate", "name")}
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}


def test_every_part_has_a_row():
    assert set(NAMES) == {type(row.build()) for row in ROWS}


@pytest.mark.parametrize("made", NAMES, ids=lambda made: made.__name__)
def test_parts_are_frozen_dataclasses_or_keras_optimizers(made):
    if issubclass(made, keras.optimizers.Optimizer):
        return
    assert dataclasses.is_dataclass(made) and made.__dataclass_params__.frozen
    assert made.__module__.rpartition(".")[0] == NAMES[made].rpartition(".")[0], "gin names it by its folder"


@each([row for row in ROWS if dataclasses.is_dataclass(row.build())])
def test_a_part_cannot_be_changed(row):
    part = row.build()
    for name in values(part):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, None)


@each(ROWS)
def test_a_record_holds_every_value(row):
    part = row.build()
    record = describe(part)
    assert json.loads(json.dumps(record)) == record == describe(row.build())
    assert record[KIND] == type(part).__name__ and values(part).keys() <= record.keys()


@each(ROWS)
def test_a_record_tells_any_other_value(row):
    record = describe(row.build())
    for name in record.keys() - {KIND}:
        other = describe(row.build()) | {name: "another"}
        assert any(name in line for line in differences(record, other)), name


def given(part) -> dict:
    """The values that a gin file can write down as they are."""
    plain = (bool, int, float, str, type(None))
    return {
        name: value
        for name, value in values(part).items()
        if isinstance(value, plain) or (isinstance(value, tuple) and all(isinstance(one, plain) for one in value))
    }


@each(ROWS)
def test_bound_values_arrive(row):
    part = row.build()
    selector, bound = NAMES[type(part)], given(part)
    for name, value in bound.items():
        gin.bind_parameter(f"{selector}.{name}", value)
    rest = {name: value for name, value in values(part).items() if name not in bound}
    made = gin.get_configurable(selector)(**rest)
    assert describe(values(made)) == describe(values(part))


def test_rows_bind_other_values_than_the_defaults():
    """Else a binding that is lost would not be seen."""
    for made in NAMES:
        parameters = inspect.signature(made).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.name not in ("learning_rate", "name")}
        if made is Space or not defaults:
            continue
        rows = [values(row.build()) for row in ROWS if type(row.build()) is made]
        assert any(describe(row[name]) != describe_default(defaults[name]) for row in rows for name in defaults), made


def describe_default(value):
    return "required" if value is inspect.Parameter.empty else describe(value)


@each([row for row in ROWS if not isinstance(row.build(), keras.optimizers.Optimizer)])
def test_a_part_is_printed_with_its_values(row):
    part = row.build()
    text = repr(part)
    assert text.startswith(f"{type(part).__name__}(")
    assert all(f"{name}={value!r}" in text for name, value in values(part).items())
