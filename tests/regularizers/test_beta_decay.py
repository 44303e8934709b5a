"""Beta decay: its value and gradient in closed form, and the ramp."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp, softmax

from tf_edd.errors import UserError
from tf_edd.regularizers import BetaDecay, StepContext

RNG = np.random.default_rng(0)
LOGITS = {"normal": RNG.normal(size=(4, 5)), "reduce": RNG.normal(size=(2, 3))}
T = 0.25


def value_and_gradients(part, progress):
    logits = {name: tf.constant(value, tf.float32) for name, value in LOGITS.items()}
    with tf.GradientTape() as tape:
        tape.watch(logits)
        context = StepContext("arch", None, None, logits, {}, None, None, tf.constant(T), None, progress=progress)
        value = part(context)
    return value, tape.gradient(value, logits)


@pytest.mark.parametrize("tempered, scale", [(False, 1.0), (True, 1 / T)])
@pytest.mark.parametrize("progress", [0.0, 0.3, tf.constant(1.0)])
def test_value_and_gradient(progress, tempered, scale):
    """lambda(e) mean logsumexp, whose gradient is lambda(e) softmax / edges."""
    value, gradients = value_and_gradients(BetaDecay(50.0, tempered), progress)
    strength = 50 * float(progress)
    sums = np.concatenate([logsumexp(scale * table, axis=1) for table in LOGITS.values()])
    assert sums.shape == (6,)
    np.testing.assert_allclose(value, strength * sums.mean(), rtol=1e-6)
    for name, table in LOGITS.items():
        expected = strength * scale * softmax(scale * table, axis=1) / 6
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-5, atol=1e-7)


def test_it_is_in_the_loss_of_the_logits_alone():
    assert BetaDecay().phases == ("arch",) and BetaDecay().active(0)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_refuses_a_weight_that_pulls_nothing(weight):
    with pytest.raises(UserError, match="weight must be a positive number. Received: weight="):
        BetaDecay(weight)
