"""Relaxations: what each promises holds, in the forward pass and in the gradient."""

import numpy as np
import pytest
import tensorflow as tf
from conformance.rows import RELAXATIONS, each

TEMPERATURES = (1.0, 1e-2, 1e-4)
SEED = tf.constant([3, 4])


def arch_logits(scale=1e-2, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(scale=scale, size=(6, 5)), tf.float32)


def probs_and_gradient(relaxation, logits, t, upstream):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = relaxation(logits, t, SEED)
    return probs, tape.gradient(probs, logits, output_gradients=upstream)


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_rows_are_weights_and_distributions_where_promised(row, t):
    relaxation = row.build()
    for probs in (relaxation(arch_logits(), tf.constant(t), SEED), relaxation.mean(arch_logits(), tf.constant(t))):
        assert probs.shape == (6, 5) and probs.dtype == tf.float32
        assert np.min(probs) >= 0 and np.isfinite(probs).all()
        assert np.allclose(np.sum(probs, axis=1), 1, rtol=1e-7, atol=2e-6) == relaxation.simplex


@each(RELAXATIONS)
def test_rows_of_a_training_pass_are_one_hot_where_promised(row):
    """At a temperature of 1 no softmax rounds to 0 and 1."""
    relaxation = row.build()
    probs = np.asarray(relaxation(arch_logits(), tf.constant(1.0), SEED))
    exact = np.isin(probs, [0.0, 1.0]).all() and (probs.sum(1) == 1).all()
    assert exact == relaxation.one_hot


@each(RELAXATIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_gradients_are_finite_at_a_tiny_temperature(row, scale):
    _, slope = probs_and_gradient(row.build(), arch_logits(scale), tf.constant(1e-4), arch_logits(1.0, seed=1))
    assert np.isfinite(slope).all()


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_gradient_rows_sum_to_zero_where_a_shift_changes_nothing(row, t):
    relaxation = row.build()
    # Noise of the size of 1 hides smaller logits, and at a small t all but one weight of an edge is 0.
    _, slope = probs_and_gradient(relaxation, arch_logits(3 * t), tf.constant(1.0 if row.noisy else t), upstream())
    assert np.abs(slope).max() > 0
    zero = np.allclose(np.sum(slope, axis=1) / np.abs(slope).max(), 0, rtol=1e-7, atol=1e-5)
    assert zero == (relaxation.shift_invariant and not row.straight)


def upstream():
    return arch_logits(1.0, seed=1)


@each(RELAXATIONS)
def test_a_shift_of_all_logits_of_an_edge_changes_nothing_where_promised(row):
    relaxation = row.build()
    shifted = relaxation(arch_logits() + 8.0, tf.constant(0.01), SEED)
    same = np.allclose(shifted, relaxation(arch_logits(), tf.constant(0.01), SEED), rtol=1e-7, atol=1e-3)
    assert same == relaxation.shift_invariant


@each(RELAXATIONS)
def test_one_trace_when_the_temperature_changes(row):
    compiled = tf.function(row.build())
    results = [compiled(arch_logits(), tf.constant(t), SEED).numpy() for t in TEMPERATURES]
    assert compiled.experimental_get_tracing_count() == 1
    assert np.allclose(results[0], results[1]) == (not row.tempered)


@each(RELAXATIONS)
@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16], ids=["bfloat16", "float16"])
def test_half_precision_in_float32_out(row, dtype):
    assert row.build()(tf.cast(arch_logits(), dtype), tf.constant(0.01), SEED).dtype == tf.float32


@each([row for row in RELAXATIONS if not row.noisy])  # noise stays in its place
def test_operations_can_be_permuted(row):
    relaxation, order = row.build(), [3, 0, 4, 1, 2]
    t = tf.constant(0.01)
    probs, slope = probs_and_gradient(relaxation, arch_logits(), t, upstream())
    moved_probs, moved_slope = probs_and_gradient(
        relaxation, tf.gather(arch_logits(), order, axis=1), t, tf.gather(upstream(), order, axis=1)
    )
    np.testing.assert_allclose(moved_probs, tf.gather(probs, order, axis=1), atol=1e-6)
    np.testing.assert_allclose(moved_slope, tf.gather(slope, order, axis=1), rtol=1e-4, atol=1e-4)


@each([row for row in RELAXATIONS if not row.noisy])  # XLA draws other random numbers from the same seed
def test_xla_gives_the_same(row):
    relaxation = row.build()

    def function(logits, t):
        return probs_and_gradient(relaxation, logits, t, upstream())

    compiled = tf.function(function, jit_compile=True)
    for t in TEMPERATURES:
        arguments = arch_logits(3 * t), tf.constant(t)
        for expected, result in zip(function(*arguments), compiled(*arguments), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5 / t)


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_the_largest_logit_of_an_edge_has_its_largest_mean_weight(row, t):
    mean = row.build().mean(arch_logits(), tf.constant(t)).numpy()
    largest = np.argmax(arch_logits(), axis=1)
    np.testing.assert_array_equal(mean[np.arange(6), largest], mean.max(axis=1))


@each(RELAXATIONS)
def test_all_noise_comes_from_the_seed(row):
    relaxation = row.build()
    first, again, other = (relaxation(arch_logits(), 1.0, tf.constant([3, last])).numpy() for last in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (not row.noisy)
