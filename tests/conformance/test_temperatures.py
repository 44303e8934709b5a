"""Temperature schedules: positive numbers, and a state that a checkpoint can keep."""

import json
import math

import numpy as np
import pytest
from conformance.rows import EPOCHS, FIRST_TEMPERATURE, TEMPERATURES, each

ENTROPIES = np.random.default_rng(5).uniform(0, math.log(5), EPOCHS).tolist()


def states_and_temperatures(schedule, entropies, passing=lambda state, epoch: state):
    """What the schedule returns before each epoch; `passing` stands between the epochs."""
    results = [schedule.init()]
    for epoch, entropy in enumerate(entropies, start=1):
        results.append(schedule.update(passing(results[-1][0], epoch), epoch, entropy))
    return results


@each(TEMPERATURES)
def test_the_first_temperature_is_t0(row):
    assert row.build().init()[1] == FIRST_TEMPERATURE


@each(TEMPERATURES)
def test_states_are_flat_dicts_of_floats(row):
    for state, value in states_and_temperatures(row.build(), ENTROPIES):
        assert type(value) is float
        assert all(type(key) is str and type(entry) is float for key, entry in state.items())


@each(TEMPERATURES)
@pytest.mark.parametrize("entropies", [ENTROPIES, [0.0] * EPOCHS, [math.log(5)] * EPOCHS], ids=["mixed", "0", "ln O"])
def test_temperatures_are_positive_and_at_most_t0(row, entropies):
    temperatures = [value for _, value in states_and_temperatures(row.build(), entropies)]
    assert all(0 < value <= FIRST_TEMPERATURE * (1 + 1e-9) for value in temperatures)


@each(TEMPERATURES)
@pytest.mark.parametrize("stop", [1, 7])
def test_a_state_read_back_from_json_continues_identically_in_another_process(row, stop):
    def reload(state, epoch):
        return json.loads(json.dumps(state)) if epoch == stop else state

    schedule = row.build()
    states_and_temperatures(schedule, ENTROPIES[::-1])  # another search with the same part
    resumed = states_and_temperatures(schedule, ENTROPIES, reload)
    assert resumed == states_and_temperatures(row.build(), ENTROPIES)


@each(TEMPERATURES)
def test_a_state_is_never_changed_in_place(row):
    schedule = row.build()
    state, _ = schedule.init()
    before = dict(state)
    schedule.update(state, 1, 1.0)
    assert state == before
