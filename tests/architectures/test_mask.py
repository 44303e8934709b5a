"""The mask of the allowed candidates: what becomes of the weights and of their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits
from tf_edd.architectures.mask import is_closed, masked, restricted
from tf_edd.spaces import darts, nas_bench_201

WEIGHTS = np.float32([[0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [1.0, 1e-42, 0.0, 0.0]])
# open, decided, removed, partly closed: with something left, and with what has underflowed
ALLOWED = np.float32([[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]])
PARTLY = np.float32([[0, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]])


def test_open_edges_are_untouched_decided_ones_are_one_hot_and_removed_ones_zero():
    found = restricted(tf.constant(WEIGHTS), tf.constant(ALLOWED)).numpy()
    np.testing.assert_array_equal(found[0], WEIGHTS[0])
    np.testing.assert_array_equal(found[1:3], [[0, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(found[3], [0, 0.5, 0.5, 0])


def test_a_decided_candidate_has_all_the_weight_even_if_it_had_none():
    found = restricted(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]]))
    np.testing.assert_array_equal(found, [[0, 1]])


def test_what_is_left_of_an_edge_sums_to_one_in_the_old_proportions():
    found = restricted(tf.constant(WEIGHTS), tf.constant(PARTLY)).numpy()
    kept = WEIGHTS.astype(np.float64) * PARTLY
    np.testing.assert_allclose(found, kept / kept.sum(axis=1, keepdims=True), rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize("allowed", [ALLOWED, PARTLY])
def test_the_gradient_is_that_of_the_quotient_and_zero_in_decided_edges(allowed):
    """d(w_o m_o / s) / dw_i = m_i (delta_oi - w_o m_o / s) / s with s = sum w m."""
    weights, upstream = tf.constant(WEIGHTS), np.random.default_rng(0).normal(size=WEIGHTS.shape)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        result = tf.reduce_sum(restricted(weights, tf.constant(allowed)) * upstream.astype(np.float32))
    expected = np.zeros(WEIGHTS.shape)
    for e, (row, mask, slope) in enumerate(zip(WEIGHTS.astype(np.float64), allowed, upstream, strict=True)):
        total = row @ mask
        if mask.all():
            expected[e] = slope
        elif mask.sum() > 1 and total > 1e-37:
            expected[e] = mask * (slope - slope @ (row * mask) / total) / total
    gradient = tape.gradient(result, weights).numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(gradient[allowed.sum(axis=1) <= 1], 0)


def test_a_closed_candidate_is_told_from_one_whose_weight_has_become_zero():
    tf.where([True], 0.0, tf.ones(1))  # TensorFlow keeps this zero for later ones
    table = restricted(tf.constant(WEIGHTS), tf.constant(ALLOWED))
    np.testing.assert_array_equal(is_closed(table), ALLOWED == 0)
    traced = tf.function(restricted, autograph=False)(tf.constant(WEIGHTS), tf.constant(ALLOWED))
    np.testing.assert_array_equal(is_closed(traced), ALLOWED == 0)
    np.testing.assert_array_equal(is_closed(tf.constant([0.0, -0.0, -1.0, 1.0, -1e-30])), [0, 1, 0, 0, 0])


def test_without_masks_nothing_is_asked():
    tables = {"cell": tf.constant(WEIGHTS)}
    assert masked(tables, None)["cell"] is tables["cell"]
    logits = ArchLogits(nas_bench_201(), seed=0)
    assert logits.masks is logits.allowed() is logits.undecided() is None


def test_logits_hold_a_mask_for_each_cell_type_beside_their_variables():
    logits = ArchLogits(darts(4, 3, 2), seed=0, masked=True)
    shapes = darts(4, 3, 2).logit_shapes
    assert {name: mask.shape for name, mask in logits.masks.items()} == shapes
    assert all(mask.numpy().all() for mask in logits.masks.values())
    assert len(logits.variables) == 2 and not {id(m) for m in logits.masks.values()} & set(map(id, logits.variables))
    tables = {name: np.ones(shape, bool) for name, shape in shapes.items()}
    tables["reduce"][1] = False
    tables["reduce"][2, 1:] = False
    logits.allow(tables)
    normal, reduce = logits.undecided()
    assert np.all(normal) and np.flatnonzero(~reduce.numpy()[:, 0]).tolist() == [1, 2]
    np.testing.assert_array_equal(logits.allowed()["reduce"], tables["reduce"])
