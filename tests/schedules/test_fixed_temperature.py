"""Fixed temperature schedules against the paper's worked example and derived vectors."""

import dataclasses

import gin
import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime.record import describe
from tf_edd.schedules import (
    EXPECTED_LOGIT,
    ConstantTemperature,
    ExponentialTemperature,
    LinearTemperature,
    PeriodicTemperature,
    exponential_list,
    linear_list,
)
from tf_edd.schedules.fixed_temperature import FixedSchedule

PAPER_LOGIT = 4e-4  # the rounded E(a) of the paper's example


def run(schedule, epochs):
    """The temperature of each epoch, 1 to `epochs`."""
    state, value = schedule.init()
    values = [value]
    for epoch in range(1, epochs):
        state, value = schedule.update(state, epoch, 1.0)
        values.append(value)
    return values


def test_expected_logit_is_the_mean_positive_part_of_the_initial_logits():
    draws = 1e-3 * np.random.default_rng(0).normal(size=1_000_000)
    assert pytest.approx(np.maximum(draws, 0).mean(), rel=3e-3) == EXPECTED_LOGIT
    assert pytest.approx(3.989423e-4, rel=1e-6) == EXPECTED_LOGIT


def test_worked_example_of_figure_3():
    values = exponential_list(1.0, 1e-3, 4, PAPER_LOGIT)
    np.testing.assert_allclose(values, [1, 0.00345, 0.0018, 0.00127, 0.001], rtol=0.011)  # the paper rounds t^exp
    np.testing.assert_allclose(values, [1, 0.0034414, 0.0018179, 0.0012737, 0.001], atol=6e-8)
    exp_values = np.exp(PAPER_LOGIT / np.array(values))
    np.testing.assert_allclose(exp_values, [1, 1.123, 1.246, 1.369, 1.492], atol=5e-4)
    np.testing.assert_allclose(np.diff(exp_values), 0.122856, atol=5e-7)


def test_linear_list_of_the_example():
    # 0.25 in the paper is 0.25075 rounded
    np.testing.assert_allclose(linear_list(1.0, 1e-3, 4), [1, 0.75025, 0.5005, 0.25075, 0.001], rtol=1e-12)
    np.testing.assert_allclose(linear_list(1.0, 1e-3, 4), [1, 0.75, 0.5, 0.25, 0.001], atol=1e-3)


def test_exponential_list_of_gdas():
    values = exponential_list(10.0, 0.1, 4, PAPER_LOGIT)
    np.testing.assert_allclose(values, [10, 0.388, 0.198, 0.133, 0.1], rtol=4e-3)


@pytest.mark.parametrize("schedule", [LinearTemperature, ExponentialTemperature])
def test_lists_start_at_t0_and_end_at_tn(schedule):
    values = run(schedule(epochs=20, initial_temperature=2.0, final_temperature=0.01), 20)
    assert (values[0], values[-1]) == (2.0, 0.01)
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))


def test_fewer_decay_points_than_epochs_stay_at_tn():
    assert run(LinearTemperature(epochs=6, decay_points=2, final_temperature=0.5), 6) == [1, 0.75, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_very_short_searches_have_a_schedule(epochs):
    for schedule in (LinearTemperature(epochs), ExponentialTemperature(epochs), PeriodicTemperature(epochs)):
        assert run(schedule, epochs)[0] == 1.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("exponential", exponential_list(1.0, 1e-3, 3)), ("linear", linear_list(1.0, 1e-3, 3))],
)
def test_periodic_repeats_the_same_list_after_the_warmup(kind, expected):
    schedule = PeriodicTemperature(epochs=15, kind=kind, cycles=3, warmup_epochs=2)
    assert run(schedule, 15) == [1.0, 1.0, *expected * 3, 1e-3]  # (15 - 2) // 3 = 4 values a cycle, one epoch left


def test_preset_increment_fixes_the_target():
    values = run(ExponentialTemperature(epochs=5, exp_increment=0.123, logit_scale=PAPER_LOGIT), 5)
    np.testing.assert_allclose(np.diff(np.exp(PAPER_LOGIT / np.array(values))), 0.123, rtol=1e-9)
    cyclic = run(PeriodicTemperature(epochs=10, cycles=2, exp_increment=0.123, logit_scale=PAPER_LOGIT), 10)
    np.testing.assert_allclose(cyclic, values * 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (ConstantTemperature, {"temperature": 0}),
        (LinearTemperature, {"epochs": 0}),
        (LinearTemperature, {"epochs": 5, "final_temperature": 0.0}),
        (LinearTemperature, {"epochs": 5, "final_temperature": 2.0}),
        (ExponentialTemperature, {"epochs": 5, "initial_temperature": -1.0}),
        (ExponentialTemperature, {"epochs": 5, "decay_points": 0}),
        (ExponentialTemperature, {"epochs": 5, "logit_scale": 0.0}),
        (ExponentialTemperature, {"epochs": 5, "exp_increment": -0.1}),
        (ExponentialTemperature, {"epochs": 5, "final_temperature": 1e-7}),
        (PeriodicTemperature, {"epochs": 5, "kind": "cosine"}),
        (PeriodicTemperature, {"epochs": 5, "cycles": 0}),
        (PeriodicTemperature, {"epochs": 5, "warmup_epochs": -1}),
        (PeriodicTemperature, {"epochs": 5, "kind": "linear", "exp_increment": 0.1}),
    ],
)
def test_values_out_of_range_are_refused(schedule, arguments):
    with pytest.raises(UserError, match="Received: "):
        schedule(**arguments)


@pytest.mark.parametrize("values", [(), [], np.array([])])
def test_an_empty_list_is_refused(values):
    with pytest.raises(UserError, match="at least one temperature. Received: values="):
        FixedSchedule(values)


def test_gin_gives_the_epochs():
    try:
        gin.parse_config("EPOCHS = 5\nLinearTemperature.epochs = %EPOCHS")
        assert run(gin.get_configurable(LinearTemperature)(), 5)[-1] == 1e-3
    finally:
        gin.clear_config()


def test_what_gin_makes_is_what_python_makes():
    """Defaults, bindings and the class itself; the computed list is no field that anyone gives."""
    try:
        gin.parse_config("PeriodicTemperature.kind = 'linear'\nPeriodicTemperature.cycles = 2")
        assert gin.get_configurable(PeriodicTemperature)(10) == PeriodicTemperature(10, "linear", 2)
    finally:
        gin.clear_config()
    assert PeriodicTemperature(10) == PeriodicTemperature(10, "exponential", 3)
    assert PeriodicTemperature(10) != PeriodicTemperature(11)
    assert "schedule" not in repr(PeriodicTemperature(10)) and hash(LinearTemperature(3)) == hash(LinearTemperature(3))


def test_a_changed_copy_computes_its_own_list():
    changed = dataclasses.replace(LinearTemperature(epochs=3), final_temperature=0.5)
    assert run(changed, 3) == [1.0, 0.75, 0.5]


def test_a_record_has_the_fields_and_not_the_list():
    assert describe(LinearTemperature(3)) == {
        "@": "LinearTemperature",
        "epochs": 3,
        "initial_temperature": 1.0,
        "final_temperature": 1e-3,
        "decay_points": None,
    }
