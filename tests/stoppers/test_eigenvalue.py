"""Stopping by the eigenvalue against the released tracker of RobustDARTS, and in searches."""

import math

import numpy as np
import pytest
from tiny_search import Stop, StopAt, outcome, run

from tf_edd.actions import GenotypeLog, Sharpness, TensorBoard
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.spaces import nas_bench_201
from tf_edd.stoppers import EigenvalueStop

SPACE = nas_bench_201()
TAG = "sharpness/eigenvalue"


def released(values, epochs, every=2, window=5, factor=1.3, start=10, delta=4):
    """`EVLocalAvg` of the released code, which counts epochs from 0: (epoch of the stop, epoch that counts) or None."""
    seen, averages, first = [], [], 0
    for epoch in range(0, epochs - 1, every):  # it never stops at the last epoch
        seen.append(values[epoch // every])
        if len(seen) < math.ceil(window / 2):
            continue
        if len(seen) < window:
            averages.append(np.mean(seen))
        else:
            averages.append(np.mean(seen[first : first + window]))
            first += 1
        middle = epoch - every * (window // 2)
        if middle - every * delta >= start and averages[-1] / averages[-1 - delta] > factor:
            return epoch, middle - every * delta
    return None


def history(values, every=2):
    """Epochs from 1, of which the first and every second from there has an eigenvalue, as in the released code."""
    rows = [{"epoch": epoch, "genotype": "x"} for epoch in range(1, every * (len(values) - 1) + 2)]
    for place, value in enumerate(values):
        rows[place * every][TAG] = float(value)
    return rows


def ours(stopper, rows, epochs):
    """(epoch of the stop, epoch that counts), from 0, as the loop asks."""
    for count in range(1, len(rows) + 1):
        if (verdict := stopper(rows[:count], SPACE, epochs)) is not None:
            return count - 1, verdict.epoch - 1
    return None


@pytest.mark.parametrize("seed", range(20))
def test_the_rule_is_that_of_the_released_code(seed):
    values = np.exp(np.cumsum(np.random.default_rng(seed).normal(0.02, 0.12, size=26)))
    expected = released(values, 51)
    assert ours(EigenvalueStop(), history(values), 51) == expected


def test_random_series_stop_at_several_epochs_or_never():
    """So the test above has seen both."""
    series = [np.exp(np.cumsum(np.random.default_rng(seed).normal(0.02, 0.12, size=26))) for seed in range(20)]
    assert len({released(values, 51) for values in series} - {None}) > 3
    assert None in [released(values, 51) for values in series]


@pytest.mark.parametrize("settings", [(3, 1.1, 2), (4, 1.2, 3), (1, 1.5, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_other_windows_factors_and_distances(seed, settings):
    window, factor, delta = settings
    values = np.exp(np.cumsum(np.random.default_rng(seed).normal(0.05, 0.2, size=20)))
    expected = released(values, 21, 1, window, factor, 3, delta)
    assert ours(EigenvalueStop(factor, window, delta, 4), history(values, 1), 21) == expected


def test_the_form_of_the_paper():
    """lambda doubles in ten epochs: lambda~_(i - 5) / lambda~_i = 2^-0.5 < 0.75; in thirteen it is 0.766.

    The first averages have three and four eigenvalues, 1.073 and 1.112. Five epochs later they are 1.421 and 1.523.
    """
    stopper = EigenvalueStop(factor=4 / 3, delta=5, first_epoch=1)
    fast, slow = (history(2.0 ** (np.arange(30) / period), 1) for period in (10, 13))
    assert 1.073 / 1.421 > 0.75 > 1.112 / 1.523
    assert ours(stopper, fast, 50) == (8, 1) and ours(stopper, slow, 50) is None


def test_the_last_epoch_never_stops_and_earlier_averages_must_be_positive():
    rows = history(2.0 ** np.arange(12), 1)
    stopper = EigenvalueStop(window=1, delta=1, first_epoch=1)
    assert stopper(rows, SPACE, 12) is None and stopper(rows, SPACE, 13).epoch == 11
    assert ours(stopper, history([-1.0, -3.0, -9.0], 1), 9) is None
    assert ours(stopper, history([0.0, 1.0], 1), 9) is None


def test_epochs_without_an_eigenvalue_are_left_out():
    rows = history([1.0, 1.0, 1.0, 5.0, 5.0], 1)
    del rows[1][TAG]
    assert ours(EigenvalueStop(window=1, delta=1, first_epoch=1), rows, 9) == (3, 2)
    assert ours(EigenvalueStop(), [{"epoch": epoch, "genotype": "x"} for epoch in range(1, 40)], 50) is None


def test_a_verdict_says_what_has_grown():
    verdict = EigenvalueStop(window=1, delta=1, first_epoch=1)(history([1.0, 2.0], 1), SPACE, 9)
    assert verdict.epoch == 1
    assert verdict.reason == (
        "the dominant eigenvalue of the validation loss has grown from 1 around epoch 1 to 2 around epoch 2, by more "
        "than 1.3 times"
    )


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"factor": 0.0}, "factor must be a positive number. Received: factor=0.0"),
        ({"window": 0}, "window must be an integer of at least 1"),
        ({"delta": 0}, "delta must be an integer of at least 1"),
        ({"first_epoch": 0}, "first_epoch must be an integer of at least 1"),
    ],
)
def test_values_out_of_range_are_refused(settings, told):
    with pytest.raises(UserError, match=told):
        EigenvalueStop(**settings)


STOPPER = EigenvalueStop(factor=1e-6, window=1, delta=1, first_epoch=1)  # of positive eigenvalues at the second


def measuring(**settings):
    return (GenotypeLog(), TensorBoard(), Sharpness(directions=1, batch_size=8, **settings))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    return folder, run(folder, stopper=STOPPER, actions=measuring(), epochs=4)


def test_a_search_ends_and_takes_the_cell_of_before(stopped):
    folder, result = stopped
    values = [row[TAG] for row in result.history]
    expected = next(
        place + 1
        for place in range(1, len(values))
        if values[place - 1] > 0 and values[place] / values[place - 1] > 1e-6
    )
    assert len(result.history) == expected < 4
    verdict = files.read_json(folder / "search/results.json")["verdict"]
    assert verdict["epoch"] == expected - 1
    assert str(result.genotype) == result.history[expected - 2]["genotype"]


def test_a_killed_search_comes_to_the_same_verdict_and_holds_to_the_action_that_decides(stopped, tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, stopper=STOPPER, actions=(*measuring(), StopAt("epoch", 2)), epochs=4)
    with pytest.raises(UserError, match="measured_by.*every_epochs"):
        run(tmp_path, stopper=STOPPER, actions=measuring(every_epochs=2), epochs=4)
    run(tmp_path, stopper=STOPPER, actions=measuring(), epochs=4)
    first, second = (outcome(folder) for folder in (stopped[0], tmp_path))
    assert first["genotype"] == second["genotype"] and len(first["history"]) == len(second["history"])


def test_a_search_that_nobody_measures_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="EigenvalueStop reads sharpness/eigenvalue, which no action .* GenotypeLog"):
        run(tmp_path, stopper=STOPPER)
    assert not list(tmp_path.iterdir())
