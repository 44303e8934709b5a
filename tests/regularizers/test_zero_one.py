"""The zero-one loss: values and gradients in closed form."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.regularizers import StepContext, ZeroOneLoss
from tf_edd.relaxations import Sigmoid

RNG = np.random.default_rng(0)
LOGITS = {"normal": RNG.normal(size=(4, 5)), "reduce": RNG.normal(size=(2, 3))}


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_value_and_gradient(norm):
    """26 entries of both cells: -10 mean (p - 1/2)^2, of slope -20 (p - 1/2) p (1 - p) / 26; l1 by its sign."""
    logits = {name: tf.constant(value, tf.float32) for name, value in LOGITS.items()}
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = {name: Sigmoid()(value, 1.0) for name, value in logits.items()}
        value = ZeroOneLoss(norm=norm)(StepContext("arch", None, None, logits, probs, None, None, None, None))
    gradients = tape.gradient(value, logits)
    p = {name: 1 / (1 + np.exp(-table)) for name, table in LOGITS.items()}
    distances = np.concatenate([np.ravel(table - 0.5) for table in p.values()])
    assert distances.shape == (26,)
    power = 2 if norm == "l2" else 1
    np.testing.assert_allclose(value, -10 * np.mean(np.abs(distances) ** power), rtol=1e-5)
    for name, table in p.items():
        outer = 2 * (table - 0.5) if norm == "l2" else np.sign(table - 0.5)
        np.testing.assert_allclose(gradients[name], -10 * outer * table * (1 - table) / 26, rtol=1e-4, atol=1e-7)


def test_it_is_in_both_losses_by_default():
    assert tuple(ZeroOneLoss().phases) == ("weights", "arch")
    assert tuple(ZeroOneLoss(phases=["arch"]).phases) == ("arch",)


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"weight": 0.0}, "weight must be a positive"),
        ({"norm": "l3"}, "norm must be one of"),
        ({"phases": ()}, "phases"),
    ],
)
def test_impossible_values_are_refused(settings, told):
    with pytest.raises(UserError, match=told):
        ZeroOneLoss(**settings)
