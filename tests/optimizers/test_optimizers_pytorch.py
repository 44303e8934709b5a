"""SGD, Adam and clipping against PyTorch, step by step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens import problems
from goldens.storage import load

from tf_edd.optimizers import SGD, Adam
from tf_edd.optimizers.gradients import apply_gradients


def make(settings):
    if "betas" not in settings:
        return SGD(**settings)
    beta_1, beta_2 = settings["betas"]
    return Adam(beta_1=beta_1, beta_2=beta_2, weight_decay=settings["weight_decay"])


@pytest.mark.parametrize("name", problems.OPTIMIZERS)
def test_trajectory_equals_pytorch(name):
    settings, clip = problems.OPTIMIZERS[name]
    optimizer, variables = make(settings), [keras.Variable(value) for value in problems.start()]
    optimizer.build(variables)
    weights, norms = [], []
    for rate, gradients in zip(problems.RATES, problems.gradients(), strict=True):
        optimizer.learning_rate = rate
        norms.append(apply_gradients(optimizer, [tf.constant(each) for each in gradients], variables, clip))
        weights.append(np.concatenate([variable.numpy().ravel() for variable in variables]))
    golden = load("optimizers")[0][name]
    np.testing.assert_allclose(norms, golden["norms"], rtol=1e-6)
    # float32 keeps 1 - 0.999^k to 4 digits only, which the root halves
    np.testing.assert_allclose(weights, golden["weights"], rtol=0, atol=5e-5 if "betas" in settings else 1e-6)


def test_some_steps_are_clipped_and_some_are_not():
    norms = load("optimizers")[0]["sgd clipped"]["norms"]
    clip = problems.OPTIMIZERS["sgd clipped"][1]
    assert 0 < np.sum(norms > clip) < len(norms)
