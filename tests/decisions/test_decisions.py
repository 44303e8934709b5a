"""When decisions are due, and the weights with which a supernet runs under a mask."""

import numpy as np
import pytest

from tf_edd.decisions import View
from tf_edd.decisions.decisions import decision_epochs, undecided_edges, weights_of


@pytest.mark.parametrize(
    "numbers, expected",
    [
        ((8, 50, None, None, 0.2), range(10, 50, 5)),  # SGAS: after training epochs 9, 14, ..., 44
        ((6, 125, 100, 5, 0.8), [100, 105, 110, 115, 120, 124]),  # DARTS+PT: projections at 0, 5, 10, 15, 20, 24 of 25
        ((17, 131, 50, 5, 0.8), range(50, 131, 5)),  # at 0, 5, ..., 80 of 81
        ((6, 12, None, None, 0.2), [2, 3, 5, 7, 8, 10]),
        ((6, 50, None, None, 0.8), [40, 41, 43, 45, 46, 48]),
        ((3, 4, 2, None, 0.8), [2, 2, 3]),
        ((4, 1, None, None, 0.8), [1, 1, 1, 1]),
    ],
)
def test_moments(numbers, expected):
    assert decision_epochs(*numbers) == list(expected)


@pytest.mark.parametrize("rounds", [1, 6, 17])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_every_round_comes_and_an_epoch_follows(rounds, share):
    for epochs in range(2, 60):
        moments = decision_epochs(rounds, epochs, None, None, share)
        assert len(moments) == rounds and moments == sorted(moments)
        assert moments[0] >= 1 and moments[-1] <= epochs - 1


def test_weights_under_a_mask():
    probs = {"cell": np.float32([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]])}
    allowed = {"cell": np.array([[True, True], [True, False], [False, False]])}
    weights = weights_of(probs, allowed)["cell"]
    np.testing.assert_array_equal(weights, [[0.5, 0.5], [1, 0], [0, 0]])
    assert not np.signbit(weights).any() and weights.flags.writeable
    assert undecided_edges(allowed["cell"]).tolist() == [0]


def test_a_view_gives_the_accuracy_of_weights():
    view = View(None, 0, 1, 2, {}, {}, (), {}, lambda weights: (0.5, weights["cell"]))
    assert view.accuracy({"cell": 0.25}) == 0.25
