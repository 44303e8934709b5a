"""Entropy-driven decay against derived vectors, 50-digit decimals and NumPy."""

import json
import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.relaxations import SparseNoisySoftmax, mean_entropy
from tf_edd.schedules import EntropyDecay

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
    schedule = EntropyDecay(logit_scale=PAPER_LOGIT)
    state, _ = schedule.init()
    for k, (increment, expected) in enumerate(zip(increments, temperatures, strict=True), start=1):
        state, value = schedule.update(state, k, math.log(operations))
        assert state["exp_increment"] == pytest.approx(increment, abs=6e-7)
        assert value == pytest.approx(expected, abs=6e-7)


def test_entropy_decay_after_ten_epochs():
    schedule = EntropyDecay(logit_scale=PAPER_LOGIT)
    state, _ = schedule.init()
    for k in range(1, 11):
        state, value = schedule.update(state, k, 1.609438)
    assert (state["exp_increment"], value) == (pytest.approx(0.096472, abs=6e-7), pytest.approx(0.000592, abs=6e-7))


@pytest.mark.parametrize("first_epoch", [0, 1])
def test_entropy_decay_over_50_epochs_against_50_digit_decimals(first_epoch):
    getcontext().prec = 50
    gain, momentum, initial, scale = 0.12, 0.3, 2.0, 3e-4
    entropies = np.random.default_rng(0).uniform(0, math.log(8), 50)
    schedule = EntropyDecay(gain, momentum, initial, scale, first_epoch)
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
    schedule, relaxation = EntropyDecay(), SparseNoisySoftmax()
    state, value = schedule.init()
    logits, t, d = np.zeros((6, 5)), 1.0, 0.0
    scale = 1e-3 * np.sqrt(2 / np.pi) / 2
    trajectory = []
    for k in range(1, 51):
        logits = logits + moves[k - 1]
        probs = relaxation.mean(logits.astype(np.float32), np.float32(value))
        state, value = schedule.update(state, k, float(mean_entropy({"cell": probs})))

        shifted = np.exp(logits / t - (logits / t).max(axis=1, keepdims=True))
        beta = shifted / shifted.sum(axis=1, keepdims=True)
        entropy = -np.mean(np.sum(beta * np.log(beta, where=beta > 0, out=np.zeros_like(beta)), axis=1))
        d = 0.06 * 0.5 * entropy + 0.5 * d
        t = scale / np.log(np.exp(scale / 1.0) + k * d)
        assert value == pytest.approx(t, rel=1e-3)
        trajectory.append(entropy)
    assert trajectory[0] > 1.6 and trajectory[-1] < 1.0  # the entropies do change


def test_entropy_decay_falls_while_the_entropy_stays_and_rises_when_it_vanishes():
    values = run(EntropyDecay(), 60)
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))
    sparse = run(EntropyDecay(), 40, [math.log(5)] * 10 + [0.0] * 30)
    assert sparse[-1] > 10 * sparse[10] and sparse[-1] <= 1.0


def test_stronger_gain_and_higher_entropy_decay_faster():
    assert run(EntropyDecay(0.24), 5)[1:] < run(EntropyDecay(0.06), 5)[1:]
    assert run(EntropyDecay(), 5, math.log(8))[1:] < run(EntropyDecay(), 5, 1.0)[1:]


def test_counting_from_zero_keeps_t0_for_one_more_epoch():
    values = run(EntropyDecay(first_epoch=0), 3)
    assert values[1] == pytest.approx(1.0, rel=1e-12) and values[2] < 0.01


@pytest.mark.parametrize(
    "arguments",
    [
        {"entropy_gain": 0.0},
        {"entropy_gain": -0.06},
        {"entropy_gain": float("nan")},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"logit_scale": -1e-4},
        {"initial_temperature": 0.0},
        {"initial_temperature": 1e-7},
        {"first_epoch": 2},
    ],
)
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(UserError, match="Received: "):
        EntropyDecay(**arguments)


@pytest.mark.parametrize("entropy", [float("nan"), float("inf"), -0.1])
def test_an_impossible_entropy_is_refused(entropy):
    schedule = EntropyDecay()
    state, _ = schedule.init()
    with pytest.raises(UserError, match="mean_entropy"):
        schedule.update(state, 1, entropy)


def test_a_damaged_state_cannot_reach_ln_of_1():
    with pytest.raises(UserError, match="above 1"):
        EntropyDecay().update({"exp_increment": -5.0}, 1, 0.0)


def test_the_rounded_start_of_the_paper_is_never_used():
    # with t_0^exp rounded to 1, ln 1 = 0 and t would be infinite when the entropy is 0
    assert run(EntropyDecay(), 3, 0.0) == pytest.approx([1.0, 1.0, 1.0])


def test_a_state_saved_in_the_middle_continues_identically():
    entropies = np.linspace(1.6, 0.2, 30).tolist()
    schedule = EntropyDecay()
    state, _ = schedule.init()
    whole = []
    for k, entropy in enumerate(entropies, start=1):
        state, value = schedule.update(json.loads(json.dumps(state)) if k == 13 else state, k, entropy)
        whole.append(value)
    assert whole == run(schedule, 31, entropies)[1:]
