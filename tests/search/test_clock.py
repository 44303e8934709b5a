"""The clock of warm-up and temperature; the expected steps are counted by hand."""

import pytest
from tiny_search import EPOCHS, STEPS, outcome, run

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.schedules import ConstantRate
from tf_edd.search.clock import Clock


def ticks(clock):
    return [step for step in range(clock.total_steps + 1) if clock.tick(step)]


def test_without_a_number_of_ticks_one_comes_after_each_epoch_that_moves_logits():
    clock = Clock(epochs=4, steps=10, warmup_epochs=1)
    assert ticks(clock) == [20, 30, 40]
    assert [clock.tick(step) for step in (10, 19, 20, 40)] == [None, None, 1, 3]
    assert ticks(Clock(epochs=2, steps=10, warmup_epochs=0.5)) == [10, 20]


@pytest.mark.parametrize("epochs, steps, warmup", [(25, 78, 5), (5, 390, 1), (1, 1950, 0.2), (2, 975, 0.4)])
def test_equal_steps_tick_alike_however_they_are_cut(epochs, steps, warmup):
    clock = Clock(epochs, steps, warmup, ticks=20)
    assert ticks(clock) == list(range(468, 1951, 78))
    assert clock.warming_up(389) and not clock.warming_up(390)


def test_ticks_that_do_not_divide_the_steps_are_spread_over_them():
    """ceil(k 10 / 4) = 3, 5, 8, 10."""
    assert ticks(Clock(epochs=1, steps=10, ticks=4)) == [3, 5, 8, 10]
    assert ticks(Clock(epochs=1, steps=12, warmup_epochs=2 / 12, ticks=4)) == [5, 7, 10, 12]
    assert ticks(Clock(epochs=1, steps=3, ticks=3)) == [1, 2, 3]


def test_rates_change_where_an_epoch_begins_and_at_ticks():
    clock = Clock(epochs=2, steps=10, ticks=4)
    assert [clock.last_change(step) for step in (0, 4, 5, 9, 10, 14, 19)] == [0, 0, 5, 5, 10, 10, 15]
    assert [clock.epoch_at(step) for step in (0, 5, 10, 15)] == [0, 0.5, 1, 1.5]
    assert isinstance(clock.epoch_at(10), int)  # a list of rates can be asked for it


def test_a_clock_that_moves_nothing_is_refused():
    with pytest.raises(UserError, match=r"leave at least one of the 20 steps.*Received: warmup_epochs=1.99"):
        Clock(epochs=2, steps=10, warmup_epochs=1.99)
    with pytest.raises(UserError, match="at most the 15 steps after the warm-up. Received: ticks=16"):
        Clock(epochs=2, steps=10, warmup_epochs=0.5, ticks=16)


# The same twelve steps in three cuts; the rates are constant, so nothing else depends on the cut.
CUTS = {"epochs of a pass": (3, 4), "one epoch": (1, 12), "six epochs": (6, 2)}
RATES = {"weight_rate": ConstantRate(0.1), "arch_rate": ConstantRate(0.01)}


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    found = {}
    for name, (epochs, steps) in CUTS.items():
        folder = tmp_path_factory.mktemp(name.replace(" ", "_"))
        run(folder, epochs=epochs, steps_per_epoch=steps, warmup_epochs=4 / steps, ticks=4, actions=(), **RATES)
        found[name] = files.read_json(folder / "search/results.json")
    return found


def test_however_a_search_is_cut_into_epochs_it_cools_alike(searches):
    first, *others = searches.values()
    assert [tick["step"] for tick in first["ticks"]] == [6, 8, 10, 12]
    assert all(tick["temperature"] < 1 for tick in first["ticks"])
    for other in others:
        assert other["ticks"] == first["ticks"] and other["genotype"] == first["genotype"]
        for tag in ("loss/valid", "arch/entropy", "arch/temperature"):
            assert other["metrics"][tag] == first["metrics"][tag]


def test_a_tick_after_each_epoch_is_that_of_the_papers(tmp_path):
    """As many ticks as epochs with architecture steps: the same search to the bit."""
    metrics = []
    for ticks_given in (None, EPOCHS - 1):
        folder = tmp_path / str(ticks_given)
        run(folder, warmup_epochs=1, ticks=ticks_given, **RATES)
        metrics.append(outcome(folder)["history"])
    for rows in zip(*metrics, strict=True):
        first, second = ({tag: value for tag, value in row.items() if "speed" not in tag} for row in rows)
        assert first == second
    assert STEPS == 4
