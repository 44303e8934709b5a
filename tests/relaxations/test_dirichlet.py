"""Dirichlet weights: their distribution, and that the gradient through a draw is right on average."""

import numpy as np
import tensorflow as tf
from scipy import stats

from tf_edd.relaxations import Dirichlet

LOGITS = np.array([0.3, -0.7, 1.2, 0.0, -2.0], np.float32)
CONCENTRATION = np.where(LOGITS > 0, LOGITS, np.expm1(LOGITS)) + 1
DRAWS = 100_000
UPSTREAM = np.array([1.0, 2.0, -1.0, 0.5, 3.0], np.float32)


def drawn():
    rows = tf.tile(tf.constant(LOGITS)[tf.newaxis], [DRAWS, 1])
    with tf.GradientTape() as tape:
        tape.watch(rows)
        weights = Dirichlet()(rows, 1.0, tf.constant([1, 2]))
        loss = tf.reduce_sum(weights * UPSTREAM)
    return weights.numpy(), tape.gradient(loss, rows).numpy()


def test_draws_have_the_moments_of_the_distribution():
    weights, _ = drawn()
    known = stats.dirichlet(CONCENTRATION)
    np.testing.assert_allclose(weights.mean(0), known.mean(), atol=4e-3)
    np.testing.assert_allclose(weights.var(0), known.var(), atol=2e-3)
    np.testing.assert_allclose(Dirichlet().mean(LOGITS[np.newaxis], 1.0)[0], known.mean(), rtol=1e-5)


def test_the_gradient_through_draws_is_that_of_the_mean():
    """The loss is linear in the weights, so the mean of its gradients is the gradient of its mean."""
    _, gradients = drawn()
    total, slope = CONCENTRATION.sum(), np.where(LOGITS > 0, 1.0, np.exp(LOGITS))
    mean = CONCENTRATION / total
    expected = (UPSTREAM - mean @ UPSTREAM) / total * slope
    np.testing.assert_allclose(gradients.mean(0), expected, atol=4e-3)


def test_tiny_concentrations_are_held():
    """Gamma variables of exp(-100) are all 0, and their quotient is not a number."""
    weights = Dirichlet()(tf.fill([50, 5], -100.0), 1.0, tf.constant([3, 4]))
    assert np.isfinite(weights).all()
