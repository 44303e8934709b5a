"""Reducing, clipping and applying gradients, on one device (two are in integration/test_distribution.py)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.optimizers import SGD
from tf_edd.optimizers.gradients import apply_gradients, share_of_accuracy, share_of_mean

GRADIENTS = [np.float32([[3, 0], [0, 4]]), np.float32([12])]  # norms 5 and 12, together 13


def updates(clip, optimizer=None):
    """What is subtracted from the variables at rate 1, and the norm that is told."""
    variables = [keras.Variable(np.zeros_like(gradient)) for gradient in GRADIENTS]
    optimizer = optimizer or SGD(learning_rate=1.0, momentum=0.0, weight_decay=0.0)
    optimizer.build(variables)
    scale = float(optimizer.scale_loss(1.0))
    norm = apply_gradients(optimizer, [tf.constant(scale * gradient) for gradient in GRADIENTS], variables, clip)
    return [-variable.numpy() for variable in variables], float(norm)


@pytest.mark.parametrize("clip", [None, 20.0, 13.5])
def test_small_gradients_pass_unchanged(clip):
    result, norm = updates(clip)
    assert norm == 13.0
    for update, gradient in zip(result, GRADIENTS, strict=True):
        np.testing.assert_array_equal(update, gradient)


@pytest.mark.parametrize("clip", [5.0, 0.01])
def test_large_gradients_are_scaled_to_the_global_norm(clip):
    result, norm = updates(clip)
    assert norm == 13.0  # before clipping
    for update, gradient in zip(result, GRADIENTS, strict=True):
        # clip / (norm + 1e-6) as the reference code divides
        np.testing.assert_allclose(update, gradient * clip / (13 + 1e-6), rtol=1e-6)


@pytest.mark.parametrize("clip", [None, 5.0])
def test_scaled_losses_clip_alike(clip):
    scaled = keras.optimizers.LossScaleOptimizer(
        SGD(learning_rate=1.0, momentum=0.0, weight_decay=0.0), initial_scale=1024.0
    )
    (result, norm), (expected, expected_norm) = updates(clip, scaled), updates(clip)
    assert norm == expected_norm == 13.0
    for update, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(update, wanted, rtol=1e-6)


def test_an_overflow_of_scaled_gradients_skips_the_update_and_tells_a_finite_norm():
    inner = SGD(learning_rate=1.0, weight_decay=0.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0)
    variable = keras.Variable(np.ones(2))
    optimizer.build([variable])
    norm = apply_gradients(optimizer, [tf.constant([np.inf, 1.0])], [variable], 5.0)
    np.testing.assert_array_equal(variable.numpy(), 1)
    assert float(optimizer.scale_loss(1.0)) == 512 and int(inner.iterations) == 0
    assert np.isfinite(norm)  # the search stops at a number that is not


def test_without_loss_scaling_a_gradient_that_is_not_finite_is_told():
    variable = keras.Variable(np.ones(2))
    optimizer = SGD()
    optimizer.build([variable])
    assert not np.isfinite(apply_gradients(optimizer, [tf.constant([np.inf, 1.0])], [variable], 5.0))


def test_shares_on_one_device_are_the_whole():
    assert float(share_of_mean(tf.constant([1.0, 2.0, 6.0]))) == 3.0
    outputs = tf.constant([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    assert float(share_of_accuracy(tf.constant([1, 1, 1, 0]), outputs)) == 0.75
