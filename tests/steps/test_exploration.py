"""Exploration: how often an edge takes a candidate at random, and which one."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tf_edd.steps.exploration import explored

EDGES, CANDIDATES = 4000, 5
SEED = tf.constant([3, 4])


def rows(row):
    return {"cell": tf.tile(tf.constant([row], tf.float32), [EDGES, 1])}


def chosen(row, share, seed=SEED):
    """What each edge took: the number of a candidate, or -1 for its own probabilities."""
    found = explored(rows(row), share, seed)["cell"].numpy()
    own = (found == np.asarray(row, np.float32)).all(1)
    assert (own | (np.sort(found) == [0, 0, 0, 0, 1]).all(1)).all()
    return np.where(own, -1, found.argmax(1))


def test_a_decided_edge_explores_in_its_share_of_the_steps_and_uniformly():
    """A draw of the candidate that it has already cannot be seen: share (O - 1) / O of the edges change."""
    taken = chosen([0, 0, 1, 0, 0], 0.3)
    changed = int((taken >= 0).sum())
    assert scipy.stats.binomtest(changed, EDGES, 0.3 * 4 / 5).pvalue > 0.01
    assert scipy.stats.chisquare(np.bincount(taken[taken >= 0], minlength=5)[[0, 1, 3, 4]]).pvalue > 0.01


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_an_even_mixture_explores_nothing(share):
    assert (chosen([1 / CANDIDATES] * CANDIDATES, share) == -1).all()


def test_an_edge_explores_as_far_as_it_is_decided():
    """Two candidates of equal probability of five: 1 - ln 2 / ln 5 of the share."""
    taken = chosen([0, 0.5, 0.5, 0, 0], 0.4)
    assert scipy.stats.binomtest(int((taken >= 0).sum()), EDGES, 0.4 * (1 - math.log(2) / math.log(5))).pvalue > 0.01


def test_equal_seeds_give_equal_candidates_and_cell_types_differ():
    tables = {"normal": rows([0, 0, 1, 0, 0])["cell"], "reduce": rows([0, 0, 1, 0, 0])["cell"]}
    first, again, other = (explored(tables, 0.5, seed) for seed in (SEED, SEED, SEED + 1))
    np.testing.assert_array_equal(first["normal"], again["normal"])
    assert not np.array_equal(first["normal"], other["normal"])
    assert not np.array_equal(first["normal"], first["reduce"])


def test_a_single_candidate_stays():
    assert explored({"cell": tf.ones([3, 1])}, 0.9, SEED)["cell"].numpy().tolist() == [[1.0]] * 3


def test_half_precision_keeps_its_type():
    found = explored({"cell": tf.cast(tf.one_hot([1] * 50, 5), tf.float16)}, 0.5, SEED)["cell"]
    assert found.dtype == tf.float16
