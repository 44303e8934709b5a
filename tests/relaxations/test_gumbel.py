"""Gumbel noise: its distribution, what is drawn with it, and the straight-through gradient, in NumPy float64."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_edd.relaxations import HardGumbel, Relaxation, SoftGumbel
from tf_edd.relaxations.gumbel import gumbel
from tf_edd.relaxations.relaxation import one_hot

SEED = tf.constant([5, 6])
LOGITS = np.array([[0.3, -0.7, 1.2, 0.0, -2.0], [0.1, 0.1, -0.4, 2.5, 0.0]])
UPSTREAM = np.array([[1.0, 2.0, -1.0, 0.5, 3.0], [0.2, -0.3, 0.7, -2.0, 1.0]])
DRAWS = 40_000


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def released(logits, temperature):
    """q of AutoDL-Projects' `get_gumbel`: softmax((log_softmax(A) + G) / tau)."""
    noise = gumbel(logits.shape, SEED).numpy().astype(np.float64)
    return softmax((np.log(softmax(logits)) + noise) / temperature)


def value_and_gradient(relaxation, temperature, upstream=UPSTREAM):
    logits = tf.constant(LOGITS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        weights = relaxation(logits, tf.constant(temperature), SEED)
    return weights.numpy(), tape.gradient(weights, logits, tf.constant(upstream, tf.float32)).numpy()


def jacobian_product(q, upstream, temperature):
    return q * (upstream - (q * upstream).sum(-1, keepdims=True)) / temperature


def test_the_noise_is_of_the_gumbel_distribution():
    noise = gumbel([DRAWS], SEED).numpy()
    assert np.isfinite(noise).all()
    assert stats.kstest(noise, stats.gumbel_r.cdf).pvalue > 0.01


@pytest.mark.parametrize("temperature", [10.0, 0.1])
@pytest.mark.parametrize("relaxation", [HardGumbel(), SoftGumbel()], ids=repr)
def test_candidates_are_largest_as_often_as_softmax_says(relaxation, temperature):
    """Gumbel's theorem, at any temperature; and that is what the weights without noise are."""
    rows = tf.tile(tf.constant(LOGITS[:1], tf.float32), [DRAWS, 1])
    largest = np.argmax(relaxation(rows, temperature, SEED), axis=1)
    found = np.bincount(largest, minlength=5) / DRAWS
    np.testing.assert_allclose(found, softmax(LOGITS[0]), atol=4 * 0.5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(relaxation.mean(LOGITS, temperature), softmax(LOGITS), rtol=1e-5)


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_soft_weights_and_their_gradient(temperature):
    weights, slope = value_and_gradient(SoftGumbel(), temperature)
    q = released(LOGITS, temperature)
    np.testing.assert_allclose(weights, q, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(slope, jacobian_product(q, UPSTREAM, temperature), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_hard_weights_are_one_hot_with_the_gradient_of_the_soft_ones(temperature):
    weights, slope = value_and_gradient(HardGumbel(), temperature)
    q = released(LOGITS, temperature)
    np.testing.assert_array_equal(weights, np.eye(5)[q.argmax(1)])
    np.testing.assert_allclose(slope, jacobian_product(q, UPSTREAM, temperature), rtol=1e-3, atol=1e-5)


def test_without_the_gradient_of_the_unselected_the_drawn_one_counts_alone():
    weights, slope = value_and_gradient(HardGumbel(unselected_gradient=False), 1.0)
    q = released(LOGITS, 1.0)
    np.testing.assert_array_equal(weights, np.eye(5)[q.argmax(1)])
    np.testing.assert_allclose(slope, jacobian_product(q, weights * UPSTREAM, 1.0), rtol=1e-4, atol=1e-6)


def test_the_promise_of_one_hot_rows_is_made_by_those_that_say_so():
    class Another:
        """Fits the interface without inheriting from it."""

        def __call__(self, logits, temperature, seed=None):
            return logits

    assert one_hot(HardGumbel()) and not one_hot(SoftGumbel()) and not one_hot(Another()) and not Relaxation.one_hot
