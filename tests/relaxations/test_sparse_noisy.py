"""Relaxations against the closed-form Jacobian (Eq. 7) in float64 NumPy, finite differences and known distributions."""

import dataclasses

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.relaxations import Relaxation, Softmax, SparseNoisySoftmax, sn_softmax

LOGITS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def softmax64(logits, temperature):
    scaled = np.asarray(logits, np.float64) / temperature
    exponential = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def jacobian64(row, temperature):
    """A_u / u of Eq. 5 with u = temperature."""
    p = softmax64(row, temperature)
    return (np.diag(p) - np.outer(p, p)) / temperature


def finite_differences(row, temperature):
    step = 1e-5 * temperature
    shifts = step * np.eye(len(row))
    return np.stack(
        [(softmax64(row + d, temperature) - softmax64(row - d, temperature)) / (2 * step) for d in shifts], axis=1
    )


def gradient(function, logits, upstream):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = function(logits)
    return tape.gradient(probs, logits, output_gradients=tf.constant(upstream, tf.float32)).numpy()


def measured_jacobian(function, row):
    """Row i is the gradient of probability i: one call with the unit vectors as upstream gradient."""
    return gradient(function, np.tile(row, (len(row), 1)), np.eye(len(row)))


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01, 1e-3])
@pytest.mark.parametrize("scale", [2.0, 100.0])
def test_sn_softmax_has_the_jacobian_of_equation_7(temperature, scale):
    row = LOGITS[0] * np.float32(temperature)  # not saturated, so that both terms count
    measured = measured_jacobian(lambda a: sn_softmax(a, temperature, scale * temperature), row)
    expected = jacobian64(row, temperature) + jacobian64(row, scale * temperature)
    np.testing.assert_allclose(measured, expected, rtol=2e-5, atol=2e-6 / temperature)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_each_term_agrees_with_finite_differences(temperature):
    row, smooth = LOGITS[1], 10 * temperature
    plain = measured_jacobian(lambda a: Softmax()(a, temperature), row)
    noisy = measured_jacobian(lambda a: sn_softmax(a, temperature, smooth), row)
    np.testing.assert_allclose(plain, finite_differences(row, temperature), atol=3e-6 / temperature)
    np.testing.assert_allclose(noisy - plain, finite_differences(row, smooth), atol=3e-6 / temperature)


@pytest.mark.parametrize("temperature", [1.0, 1e-2, 1e-4, 1e-6])
def test_the_forward_pass_is_softmax_of_a_over_t(temperature):
    logits = LOGITS * np.float32(3 * temperature)
    for function in (Softmax(), SparseNoisySoftmax()):
        np.testing.assert_allclose(function(logits, temperature), softmax64(logits, temperature), rtol=1e-4, atol=1e-7)


def test_small_differences_survive_a_large_common_offset():
    difference = 2.0**-17  # 64 + 2^-17 is exact in float32; (64 + 2^-17) / 1e-6 is not
    for function in (Softmax(), SparseNoisySoftmax()):
        probs = function([[64.0, 64.0 + difference]], 1e-6)
        np.testing.assert_allclose(probs, softmax64([[0.0, difference]], 1e-6), rtol=1e-4)


@pytest.mark.parametrize("temperature", [1e-4, 1e-6])
def test_at_saturation_only_the_noise_term_is_left(temperature):
    upstream = np.random.default_rng(1).normal(size=LOGITS.shape)
    plain = gradient(lambda a: Softmax()(a, temperature), LOGITS, upstream)
    assert np.abs(plain).max() < 1e-20
    noisy = gradient(lambda a: SparseNoisySoftmax()(a, temperature), LOGITS, upstream)
    expected = np.stack([jacobian64(row, 1.0) @ g for row, g in zip(LOGITS, upstream, strict=True)])  # st = 1
    np.testing.assert_allclose(noisy, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(noisy).max() > 0.01


@pytest.mark.parametrize("temperature", [1e-3, 1e-4])
@pytest.mark.parametrize("scale", [100.0, None])
def test_nearly_one_hot_rows_keep_their_gradient(temperature, scale):
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(2000, 5)).astype(np.float32)
    upstream = generator.normal(size=logits.shape).astype(np.float32)
    smooth = np.float32(scale * temperature) if scale else np.float32(1.0)
    measured = gradient(lambda a: sn_softmax(a, temperature, smooth), logits, upstream)
    # By pairs of candidates, p_i sum_j p_j (g_i - g_j): no two almost equal numbers are subtracted.
    pairs = upstream[:, :, None].astype(np.float64) - upstream[:, None, :]
    expected = np.zeros(logits.shape)
    for u in (np.float64(np.float32(temperature)), np.float64(smooth)):
        p = softmax64(logits, u)
        expected += p * np.einsum("ej,eij->ei", p, pairs) / u
    norm = np.linalg.norm(expected, axis=-1)
    error = np.linalg.norm(measured - expected, axis=-1)[norm > 1e-30] / norm[norm > 1e-30]
    assert error.size > 1000 and error.max() < 0.01


def test_a_constant_s_follows_the_temperature():
    relaxation = SparseNoisySoftmax(smooth_scale=100)
    row = LOGITS[2] * np.float32(0.02)
    measured = measured_jacobian(lambda a: relaxation(a, 0.001), row)
    expected = jacobian64(row, 0.001) + jacobian64(row, 0.1)
    np.testing.assert_allclose(measured, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(measured - jacobian64(row, 0.001)).max() > 1  # the noise term is visible at this size


def test_the_gradient_is_doubled_at_t_1_with_st_1():
    upstream = np.random.default_rng(2).normal(size=LOGITS.shape)
    plain = gradient(lambda a: Softmax()(a, 1.0), LOGITS, upstream)
    noisy = gradient(lambda a: SparseNoisySoftmax()(a, 1.0), LOGITS, upstream)
    np.testing.assert_allclose(noisy, 2 * plain, rtol=1e-5, atol=1e-7)


def test_the_temperatures_get_no_gradient():
    temperature, smooth = tf.Variable(0.5), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(sn_softmax(LOGITS, temperature, smooth)[:, 0])
    assert tape.gradient(loss, [temperature, smooth]) == [None, None]


def test_the_forward_pass_computes_one_softmax():
    relaxation = SparseNoisySoftmax()
    graph = tf.function(relaxation).get_concrete_function(
        tf.TensorSpec([6, 5]), tf.TensorSpec([]), tf.TensorSpec([2], tf.int32)
    )
    operations = [op.type for op in graph.graph.get_operations()]
    assert operations.count("Softmax") == 1
    assert len(operations) < 30  # a few operations on [E, O]: nothing beside a search step of thousands


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_half_precision_logits_are_lifted_to_float32(dtype):
    logits = tf.cast(LOGITS, dtype)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = SparseNoisySoftmax()(logits, tf.constant(1e-4))
        loss = tf.reduce_sum(probs * LOGITS)
    slope = tape.gradient(loss, logits)
    assert probs.dtype == tf.float32 and slope.dtype == dtype
    assert np.isfinite(slope.numpy().astype(np.float32)).all()
    np.testing.assert_allclose(tf.reduce_sum(probs, -1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"smooth_scale": 1.0, "smooth_temperature": None},
        {"smooth_scale": 0.5},
        {"smooth_scale": float("nan")},
        {"smooth_scale": 100, "smooth_temperature": 2.0},
        {"smooth_temperature": 0.0},
        {"smooth_temperature": -1.0},
        {"smooth_temperature": None},
    ],
)
def test_s_out_of_range_is_refused(arguments):
    with pytest.raises(UserError, match="Received: "):
        SparseNoisySoftmax(**arguments)


def test_a_relaxation_promises_nothing_unless_it_says_so():
    class Doubled(Relaxation):
        def __call__(self, logits, temperature, seed=None):
            return 2 * tf.nn.softmax(logits / temperature)

        def mean(self, logits, temperature):
            return self(logits, temperature)

    assert not Doubled().simplex and not Doubled().shift_invariant
    for relaxation in (Softmax(), SparseNoisySoftmax()):
        assert relaxation.simplex and relaxation.shift_invariant


def test_a_given_s_replaces_the_held_product():
    relaxation = SparseNoisySoftmax(smooth_scale=100)
    assert (relaxation.smooth_scale, relaxation.smooth_temperature) == (100.0, None)
    assert dataclasses.replace(relaxation) == SparseNoisySoftmax(100.0, None) == relaxation


def test_gin_composes_the_two_forms():
    try:
        gin.parse_config("tf_edd.relaxations.SparseNoisySoftmax.smooth_scale = 100")
        assert gin.get_configurable(SparseNoisySoftmax)() == SparseNoisySoftmax(100.0, None)
    finally:
        gin.clear_config()
    assert SparseNoisySoftmax() == SparseNoisySoftmax(None, 1.0)
