"""Temperature schedules against the paper's worked example, derived vectors and independent arithmetic."""

import json
import math
from decimal import Decimal, getcontext

import gin
import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.relaxations import relaxations
from tf_edd.schedules import temperature

PAPER_LOGIT = 4e-4  # the rounded E(a) of the paper's example


LN_5 = math.log(5)


def run(schedule, epochs, entropy=LN_5):
    """The temperature of each epoch, 1 to `epochs`."""
    entropies = [entropy] * epochs if np.isscalar(entropy) else entropy
    state, value = schedule.init()
    values = [value]
    for epoch in range(1, epochs):
        state, value = schedule.update(state, epoch, entropies[epoch - 1])
        values.append(value)
    return values


def test_expected_logit_is_the_mean_positive_part_of_the_initial_logits():
    draws = 1e-3 * np.random.default_rng(0).normal(size=1_000_000)
    assert pytest.approx(np.maximum(draws, 0).mean(), rel=3e-3) == temperature.EXPECTED_LOGIT
    assert pytest.approx(3.989423e-4, rel=1e-6) == temperature.EXPECTED_LOGIT


def test_worked_example_of_figure_3():
    values = temperature.exponential_list(1.0, 1e-3, 4, PAPER_LOGIT)
    np.testing.assert_allclose(values, [1, 0.00345, 0.0018, 0.00127, 0.001], rtol=0.011)  # the paper rounds t^exp
    np.testing.assert_allclose(values, [1, 0.0034414, 0.0018179, 0.0012737, 0.001], atol=6e-8)
    exp_values = np.exp(PAPER_LOGIT / np.array(values))
    np.testing.assert_allclose(exp_values, [1, 1.123, 1.246, 1.369, 1.492], atol=5e-4)
    np.testing.assert_allclose(np.diff(exp_values), 0.122856, atol=5e-7)


def test_linear_list_of_the_example():
    # 0.25 in the paper is 0.25075 rounded
    np.testing.assert_allclose(temperature.linear_list(1.0, 1e-3, 4), [1, 0.75025, 0.5005, 0.25075, 0.001], rtol=1e-12)
    np.testing.assert_allclose(temperature.linear_list(1.0, 1e-3, 4), [1, 0.75, 0.5, 0.25, 0.001], atol=1e-3)


def test_exponential_list_of_gdas():
    values = temperature.exponential_list(10.0, 0.1, 4, PAPER_LOGIT)
    np.testing.assert_allclose(values, [10, 0.388, 0.198, 0.133, 0.1], rtol=4e-3)


@pytest.mark.parametrize(
    ("operations", "increments", "temperatures"),
    [
        (
            5,
            [0.048283, 0.072425, 0.084495, 0.090531, 0.093549],
            [0.008415, 0.002949, 0.001768, 0.001293, 0.001042],
        ),
        (8, [0.062383, 0.093575, 0.109171], [0.006569, 0.002327, 0.001410]),
    ],
)
def test_entropy_decay_at_constant_entropy(operations, increments, temperatures):
    schedule = temperature.entropy_decay(logit_scale=PAPER_LOGIT)
    state, _ = schedule.init()
    for k, (increment, expected) in enumerate(zip(increments, temperatures, strict=True), start=1):
        state, value = schedule.update(state, k, math.log(operations))
        assert state["exp_increment"] == pytest.approx(increment, abs=6e-7)
        assert value == pytest.approx(expected, abs=6e-7)


def test_entropy_decay_after_ten_epochs():
    schedule = temperature.entropy_decay(logit_scale=PAPER_LOGIT)
    state, _ = schedule.init()
    for k in range(1, 11):
        state, value = schedule.update(state, k, 1.609438)
    assert (state["exp_increment"], value) == (pytest.approx(0.096472, abs=6e-7), pytest.approx(0.000592, abs=6e-7))


@pytest.mark.parametrize("first_epoch", [0, 1])
def test_entropy_decay_over_50_epochs_against_50_digit_decimals(first_epoch):
    getcontext().prec = 50
    gain, momentum, initial, scale = 0.12, 0.3, 2.0, 3e-4
    entropies = np.random.default_rng(0).uniform(0, math.log(8), 50)
    schedule = temperature.entropy_decay(gain, momentum, initial, scale, first_epoch)
    state, value = schedule.init()
    increment = Decimal(0)
    for k, entropy in enumerate(entropies, start=1):
        state, value = schedule.update(state, k, float(entropy))
        increment = Decimal(gain) * (1 - Decimal(momentum)) * Decimal(float(entropy)) + Decimal(momentum) * increment
        counted = k if first_epoch == 1 else k - 1
        exp_temperature = (Decimal(scale) / Decimal(initial)).exp() + counted * increment
        assert value == pytest.approx(float(Decimal(scale) / exp_temperature.ln()), rel=1e-12)
        assert state["exp_increment"] == pytest.approx(float(increment), rel=1e-12)
        assert state["exp_temperature"] == pytest.approx(float(exp_temperature), rel=1e-12)


def test_the_whole_update_of_moving_logits_against_numpy():
    """Logits move, their entropy drives d, d drives t, t enters the next softmax: 50 epochs, this code and NumPy."""
    moves = np.random.default_rng(3).normal(scale=3e-4, size=(50, 6, 5))
    schedule, relaxation = temperature.entropy_decay(), relaxations.sparse_noisy_softmax()
    state, value = schedule.init()
    logits, t, d = np.zeros((6, 5)), 1.0, 0.0
    scale = 1e-3 * np.sqrt(2 / np.pi) / 2
    trajectory = []
    for k in range(1, 51):
        logits = logits + moves[k - 1]
        probs = relaxation.mean(logits.astype(np.float32), np.float32(value))
        state, value = schedule.update(state, k, float(relaxations.mean_entropy({"cell": probs})))

        shifted = np.exp(logits / t - (logits / t).max(axis=1, keepdims=True))
        beta = shifted / shifted.sum(axis=1, keepdims=True)
        entropy = -np.mean(np.sum(beta * np.log(beta, where=beta > 0, out=np.zeros_like(beta)), axis=1))
        d = 0.06 * 0.5 * entropy + 0.5 * d
        t = scale / np.log(np.exp(scale / 1.0) + k * d)
        assert value == pytest.approx(t, rel=1e-3)
        trajectory.append(entropy)
    assert trajectory[0] > 1.6 and trajectory[-1] < 1.0  # the entropies do change


def test_entropy_decay_falls_while_the_entropy_stays_and_rises_when_it_vanishes():
    values = run(temperature.entropy_decay(), 60)
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))
    sparse = run(temperature.entropy_decay(), 40, [math.log(5)] * 10 + [0.0] * 30)
    assert sparse[-1] > 10 * sparse[10] and sparse[-1] <= 1.0


def test_stronger_gain_and_higher_entropy_decay_faster():
    assert run(temperature.entropy_decay(0.24), 5)[1:] < run(temperature.entropy_decay(0.06), 5)[1:]
    assert run(temperature.entropy_decay(), 5, math.log(8))[1:] < run(temperature.entropy_decay(), 5, 1.0)[1:]


def test_counting_from_zero_keeps_t0_for_one_more_epoch():
    values = run(temperature.entropy_decay(first_epoch=0), 3)
    assert values[1] == pytest.approx(1.0, rel=1e-12) and values[2] < 0.01


@pytest.mark.parametrize("schedule", [temperature.linear, temperature.exponential])
def test_lists_start_at_t0_and_end_at_tn(schedule):
    values = run(schedule(epochs=20, initial_temperature=2.0, final_temperature=0.01), 20)
    assert (values[0], values[-1]) == (2.0, 0.01)
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))


def test_fewer_decay_points_than_epochs_stay_at_tn():
    assert run(temperature.linear(epochs=6, decay_points=2, final_temperature=0.5), 6) == [1, 0.75, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_very_short_searches_have_a_schedule(epochs):
    for schedule in (temperature.linear(epochs), temperature.exponential(epochs), temperature.periodic(epochs)):
        assert run(schedule, epochs)[0] == 1.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("exponential", temperature.exponential_list(1.0, 1e-3, 3)), ("linear", temperature.linear_list(1.0, 1e-3, 3))],
)
def test_periodic_repeats_the_same_list_after_the_warm_up(kind, expected):
    schedule = temperature.periodic(epochs=15, kind=kind, cycles=3, warmup_epochs=2)
    assert run(schedule, 15) == [1.0, 1.0, *expected * 3, 1e-3]  # (15 - 2) // 3 = 4 values a cycle, one epoch left


def test_preset_increment_fixes_the_target():
    values = run(temperature.exponential(epochs=5, exp_increment=0.123, logit_scale=PAPER_LOGIT), 5)
    np.testing.assert_allclose(np.diff(np.exp(PAPER_LOGIT / np.array(values))), 0.123, rtol=1e-9)
    cyclic = run(temperature.periodic(epochs=10, cycles=2, exp_increment=0.123, logit_scale=PAPER_LOGIT), 10)
    np.testing.assert_allclose(cyclic, values * 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (temperature.constant, {"temperature": 0}),
        (temperature.linear, {"epochs": 0}),
        (temperature.linear, {"epochs": 5, "final_temperature": 0.0}),
        (temperature.linear, {"epochs": 5, "final_temperature": 2.0}),
        (temperature.exponential, {"epochs": 5, "initial_temperature": -1.0}),
        (temperature.exponential, {"epochs": 5, "decay_points": 0}),
        (temperature.exponential, {"epochs": 5, "logit_scale": 0.0}),
        (temperature.exponential, {"epochs": 5, "exp_increment": -0.1}),
        (temperature.exponential, {"epochs": 5, "final_temperature": 1e-7}),
        (temperature.periodic, {"epochs": 5, "kind": "cosine"}),
        (temperature.periodic, {"epochs": 5, "cycles": 0}),
        (temperature.periodic, {"epochs": 5, "warmup_epochs": -1}),
        (temperature.periodic, {"epochs": 5, "kind": "linear", "exp_increment": 0.1}),
        (temperature.entropy_decay, {"entropy_gain": 0.0}),
        (temperature.entropy_decay, {"entropy_gain": -0.06}),
        (temperature.entropy_decay, {"entropy_gain": float("nan")}),
        (temperature.entropy_decay, {"momentum": 1.0}),
        (temperature.entropy_decay, {"momentum": -0.1}),
        (temperature.entropy_decay, {"logit_scale": -1e-4}),
        (temperature.entropy_decay, {"initial_temperature": 0.0}),
        (temperature.entropy_decay, {"initial_temperature": 1e-7}),
        (temperature.entropy_decay, {"first_epoch": 2}),
    ],
)
def test_values_out_of_range_are_refused(schedule, arguments):
    with pytest.raises(UserError, match="Received: "):
        schedule(**arguments)


@pytest.mark.parametrize("entropy", [float("nan"), float("inf"), -0.1])
def test_an_impossible_entropy_is_refused(entropy):
    schedule = temperature.entropy_decay()
    state, _ = schedule.init()
    with pytest.raises(UserError, match="mean_entropy"):
        schedule.update(state, 1, entropy)


def test_a_damaged_state_cannot_reach_ln_of_1():
    with pytest.raises(UserError, match="above 1"):
        temperature.entropy_decay().update({"exp_increment": -5.0}, 1, 0.0)


def test_the_rounded_start_of_the_paper_is_never_used():
    # with t_0^exp rounded to 1, ln 1 = 0 and t would be infinite when the entropy is 0
    assert run(temperature.entropy_decay(), 3, 0.0) == pytest.approx([1.0, 1.0, 1.0])


def test_gin_gives_the_epochs():
    try:
        gin.parse_config("EPOCHS = 5\ntf_edd.temperature.linear.epochs = %EPOCHS")
        assert run(temperature.linear(), 5)[-1] == 1e-3
    finally:
        gin.clear_config()


def test_a_state_saved_in_the_middle_continues_identically():
    entropies = np.linspace(1.6, 0.2, 30).tolist()
    schedule = temperature.entropy_decay()
    state, _ = schedule.init()
    whole = []
    for k, entropy in enumerate(entropies, start=1):
        state, value = schedule.update(json.loads(json.dumps(state)) if k == 13 else state, k, entropy)
        whole.append(value)
    assert whole == run(schedule, 31, entropies)[1:]
