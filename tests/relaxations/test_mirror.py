"""The point of the simplex behind its logits: the gradient of the point, and with its optimizer the step of GAEA."""

import keras
import numpy as np
import tensorflow as tf
from numpy_supernet import forward
from tiny_search import method

from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import ExponentiatedGradient
from tf_edd.relaxations import MirrorSoftmax
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import Batch, FirstOrder, StepInfo, StepSetup


def test_forward_is_softmax_and_backward_leaves_the_gradient_alone():
    logits, upstream = np.random.default_rng(0).normal(size=(2, 4, 5))
    with tf.GradientTape() as tape:
        tables = tf.constant(logits, tf.float32)
        tape.watch(tables)
        theta = MirrorSoftmax()(tables, 0.5)
    powers = np.exp(logits / 0.5)
    np.testing.assert_allclose(theta, powers / powers.sum(1, keepdims=True), rtol=1e-5)
    slope = tape.gradient(theta, tables, output_gradients=tf.constant(upstream, tf.float32))
    np.testing.assert_array_equal(slope, upstream.astype(np.float32))


def test_a_step_of_the_logits_is_the_released_step_of_theta_on_the_supernet_in_float64():
    """theta <- normalize(theta exp(-0.1 dL/dtheta)), dL/dtheta by central differences of each entry alone."""
    keras.utils.set_random_seed(3)
    space, rng = nas_bench_201(4, 1), np.random.default_rng(5)
    images, labels = rng.normal(size=(8, 8, 8, 3)).astype(np.float32), rng.integers(0, 3, 8).astype(np.int32)
    supernet = Supernet(space, 3)
    supernet.build((None, 8, 8, 3))
    logits = ArchLogits(space, seed=0, init_scale=0.0)
    parts = {"relaxation": MirrorSoftmax(), "arch_optimizer": ExponentiatedGradient(), "logit_init_scale": 0.0}
    parts = method(step=FirstOrder(), **parts).prepared()
    step = parts.step.build(StepSetup(supernet, logits, parts))
    parts.arch_optimizer.learning_rate = 0.1
    weights = [weight.numpy() for weight in supernet.weights]

    def loss(theta):
        outputs = forward(images, theta, weights)
        shifted = outputs - outputs.max(1, keepdims=True)
        return np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(8), labels])

    theta = np.full((6, 5), 0.2)
    for index in range(2):
        slope = np.zeros_like(theta)
        for place in np.ndindex(6, 5):
            shift = np.zeros_like(theta)
            shift[place] = 1e-5
            slope[place] = (loss(theta + shift) - loss(theta - shift)) / 2e-5
        theta = np.maximum(theta * np.exp(-0.1 * slope), 1e-5)
        theta = theta / theta.sum(1, keepdims=True)
        batch = Batch(tf.constant(images), tf.constant(labels))
        step({"weights": batch, "arch": batch}, StepInfo(index, phases=("arch",)))
    np.testing.assert_allclose(step.architecture(1.0).probs["cell"], theta, rtol=1e-4)
    assert np.abs(theta - 0.2).max() > 1e-3
