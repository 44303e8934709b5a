"""What a run asks a schedule for before it begins."""

import dataclasses
import math

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.schedules import (
    ConstantRate,
    CosineRate,
    EntropyDecay,
    ExponentialRate,
    LinearTemperature,
    check_rate,
    check_temperature,
)


@dataclasses.dataclass(frozen=True)
class Given:
    """A schedule that gives what it is told to."""

    first: object = ({}, 1.0)
    second: object = ({}, 1.0)

    def init(self):
        return self.first

    def update(self, state, tick, mean_entropy):
        assert state == self.first[0] and tick == 1
        return self.second


@pytest.mark.parametrize("schedule", [Given(), Given(({"x": [1, 2.5]}, 3)), EntropyDecay(), LinearTemperature(4)])
def test_a_state_of_plain_numbers_and_a_temperature_pass(schedule):
    check_temperature("Method.temperature", schedule, 4)


WRONG = [
    1.0,
    None,
    ({}, 1.0, 2.0),
    ([], 1.0),
    ({"x": np.float32(1)}, 1.0),
    ({"x": np.zeros(2)}, 1.0),
    ({}, "1"),
    ({}, True),
    ({}, 0.0),
    ({}, math.inf),
    ({}, math.nan),
]


@pytest.mark.parametrize("given", WRONG, ids=str)
@pytest.mark.parametrize("name", ["first", "second"])
def test_another_state_or_temperature_is_refused(name, given):
    told = r"^Method.temperature must give a state \(a dict of plain numbers\) and a positive temperature. Received: "
    with pytest.raises(UserError, match=told):
        check_temperature("Method.temperature", Given(**{name: given}), 4)


def listed(epoch):
    return [0.1, 0.05][epoch]


@pytest.mark.parametrize(
    ("rate", "epochs", "told"),
    [
        (listed, 3, r"Received: IndexError \(list index out of range\) for epoch 2, from listed"),
        (ExponentialRate(0.1, 1e300), 3, "Received: OverflowError .* for epoch 2, from ExponentialRate"),
        (lambda epoch: 1.0 - epoch, 3, "Received: -1.0 for epoch 2"),
        (lambda epoch: math.log(epoch), 3, r"Received: ValueError \(.*\) for epoch 0"),
        (lambda: 0.1, 3, r"Received: TypeError \(.*\) for epoch 0"),
    ],
)
def test_a_rate_is_asked_for_the_first_and_the_last_epoch(rate, epochs, told):
    with pytest.raises(UserError, match=f"^Method.weight_rate must give each epoch .*{told}"):
        check_rate("Method.weight_rate", rate, epochs)


@pytest.mark.parametrize("rate", [listed, CosineRate(0.1, 2), ExponentialRate(0.1, 1e300)])
def test_a_rate_for_all_epochs_passes(rate):
    check_rate("Method.weight_rate", rate, 2)


@pytest.mark.parametrize("value", [10**400, math.inf])
def test_a_rate_that_no_float_holds_is_refused(value):
    with pytest.raises(UserError, match="value must be a positive number. Received: value="):
        ConstantRate(value)
