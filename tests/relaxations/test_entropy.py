"""The entropy of known distributions, its gradient at zero, and the mean over edges."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.relaxations import entropy, mean_entropy


def test_entropy_of_known_distributions():
    probs = [[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.25, 0.125, 0.125]]
    expected = np.log(2) * np.array([2, 0, 1, 1.75])
    np.testing.assert_allclose(entropy(np.array(probs, np.float32)), expected, rtol=1e-6)


def test_entropy_has_a_finite_gradient_at_zero():
    probs = tf.constant([[1.0, 0.0, 1e-42]])
    with tf.GradientTape() as tape:
        tape.watch(probs)
        value = entropy(probs)
    assert np.isfinite(value).all() and np.isfinite(tape.gradient(value, probs)).all()


def test_mean_entropy_weighs_edges_not_cell_kinds():
    normal, reduce = np.full((3, 2), 0.5, np.float32), np.eye(4, dtype=np.float32)[:1]
    assert float(mean_entropy({"normal": normal, "reduce": reduce})) == pytest.approx(0.75 * np.log(2))
    assert float(mean_entropy([normal, reduce])) == pytest.approx(0.75 * np.log(2))
    assert float(mean_entropy([reduce])) == 0
