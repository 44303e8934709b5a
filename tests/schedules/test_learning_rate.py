"""Learning-rate schedules against the closed form and PyTorch."""

import math

import pytest
from goldens.problems import EPOCHS, SCHEDULES
from goldens.storage import load

from tf_edd.errors import UserError
from tf_edd.schedules import (
    ConstantRate,
    CosineRate,
    ExponentialRate,
    LinearRate,
    SequenceRate,
    WarmupRate,
)


def test_cosine_from_0025_to_0001():
    rate = CosineRate(0.025, 50, 0.001)
    assert rate(0) == 0.025
    assert rate(25) == pytest.approx(0.013, rel=1e-12)
    assert rate(50) == pytest.approx(0.001, rel=1e-12)
    assert rate(10) == pytest.approx(0.001 + 0.024 * (1 + math.cos(math.pi / 5)) / 2, rel=1e-12)
    assert all(rate(e + 1) < rate(e) for e in range(50))


def test_the_minimum_stays_after_the_end():
    assert CosineRate(0.1, 5)(9) == 0.0


def warmup_of_a_constant(base, epochs):
    return WarmupRate(ConstantRate(base), epochs)


def two_cosines(base, epochs):
    return SequenceRate(CosineRate(base, epochs[0]), epochs[0], CosineRate(base, epochs[1]))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cosine", CosineRate),
        ("exponential", ExponentialRate),
        ("warmup", warmup_of_a_constant),
        ("sequence", two_cosines),
    ],
)
def test_equals_pytorch(name, make):
    expected = load("rates")[0][name]["rates"]
    rate = make(**SCHEDULES[name])
    assert [rate(epoch) for epoch in range(EPOCHS)] == pytest.approx(expected, rel=1e-9)


def test_constant():
    assert [ConstantRate(3e-4)(epoch) for epoch in (0, 7)] == [3e-4, 3e-4]


def test_exponential():
    rate = ExponentialRate(0.1, 0.97)
    assert rate(0) == 0.1 and rate(2) == pytest.approx(0.1 * 0.97 * 0.97, rel=1e-12)


def test_linear_with_its_tail():
    """The numbers of the 250-epoch training on ImageNet: 245 steps down, then 5 of a fifth of their size."""
    rate = LinearRate(0.5, 250)
    assert [rate(0), rate(49), rate(244)] == pytest.approx([0.5, 0.4, 0.5 / 245], rel=1e-12)
    assert [rate(epoch) for epoch in range(245, 250)] == pytest.approx([0.5 * n / 1225 for n in (5, 4, 3, 2, 1)])
    assert rate(250) == rate(300) == 0.0


def test_the_warmup_rises_to_the_first_rate():
    rate, plain = WarmupRate(LinearRate(0.5, 250), 5), LinearRate(0.5, 250)
    assert [rate(epoch) for epoch in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], rel=1e-12)
    assert all(rate(epoch) == plain(epoch) for epoch in range(5, 250))


def test_a_sequence_counts_the_epochs_of_the_second_from_0():
    rate = SequenceRate(CosineRate(0.05, epochs=4), 4, CosineRate(0.025, epochs=2))
    falling = [0.05 * (1 + cosine) / 2 for cosine in (1, 2**-0.5, 0, -(2**-0.5))]
    assert [rate(epoch) for epoch in range(7)] == pytest.approx([*falling, 0.025, 0.0125, 0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (ExponentialRate, {"base": 0.0}),
        (ExponentialRate, {"base": 0.1, "decay": -0.97}),
        (LinearRate, {"base": 0.0, "epochs": 9}),
        (LinearRate, {"base": 0.1, "epochs": 5, "tail": 5}),
        (LinearRate, {"base": 0.1, "epochs": 5, "tail": 0}),
        (WarmupRate, {"rate": ConstantRate(0.1), "epochs": 0}),
        (SequenceRate, {"first": ConstantRate(0.1), "epochs": 0, "then": ConstantRate(0.1)}),
        (ConstantRate, {"value": 0}),
        (ConstantRate, {"value": float("nan")}),
        (CosineRate, {"base": 0.1, "minimum": 0.2, "epochs": 5}),
        (CosineRate, {"base": 0.0, "epochs": 5}),
        (CosineRate, {"base": 0.1, "minimum": -0.1, "epochs": 5}),
        (CosineRate, {"base": 0.1, "epochs": 0}),
    ],
)
def test_values_out_of_range_are_refused(schedule, arguments):
    with pytest.raises(UserError, match="Received: "):
        schedule(**arguments)
