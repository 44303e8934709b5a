"""The training step: the loss by its definition, and the update by hand."""

import keras
import numpy as np
import scipy.stats
import tensorflow as tf

from tf_edd.optimizers import SGD
from tf_edd.runtime.seeds import step_seed
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.train_step import TrainStep, mixup_share, smoothed_cross_entropy


def test_smoothed_cross_entropy_by_its_definition():
    logits = np.random.default_rng(0).normal(size=(6, 4))
    labels = np.array([0, 1, 2, 3, 0, 1])
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for smoothing in (0.0, 0.1):
        target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
        losses = smoothed_cross_entropy(tf.constant(labels, tf.int32), tf.constant(logits, tf.float32), smoothing)
        np.testing.assert_allclose(losses, -(target * log_probs).sum(-1), rtol=1e-5)


def test_step_follows_the_gradient_of_a_linear_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    kernel = model.trainable_variables[0].numpy().astype(np.float64)
    x, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])
    step = TrainStep(model, TrainingRecipe(SGD(momentum=0.0, weight_decay=0.0)))
    step.optimizer.learning_rate = 0.5
    scalars = step(tf.constant(x, tf.float32), tf.constant(labels, tf.int32))
    probs = np.exp(x @ kernel) / np.exp(x @ kernel).sum(-1, keepdims=True)
    gradient = x.T @ (probs - np.eye(2)[labels]) / 4
    np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.5 * gradient, rtol=1e-4)
    np.testing.assert_allclose(scalars["loss/train"], -np.log(probs[range(4), labels]).mean(), rtol=1e-5)


def test_step_weights_the_auxiliary_head():
    images = keras.Input((3,))
    branches = [keras.layers.Dense(2, use_bias=False, name=name)(images) for name in ("main", "side")]
    model = keras.Model(images, branches)
    main, side = (variable.numpy().astype(np.float64) for variable in model.trainable_variables)
    x, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])
    recipe = TrainingRecipe(SGD(momentum=0.0, weight_decay=0.0), label_smoothing=0.1, auxiliary_weight=0.4)
    step = TrainStep(model, recipe)
    step.begin(0, 0.5)
    scalars = step(tf.constant(x, tf.float32), tf.constant(labels, tf.int32))
    target, loss = 0.9 * np.eye(2)[labels] + 0.05, 0.0
    for kernel, weight, after in zip((main, side), (1.0, 0.4), model.trainable_variables, strict=True):
        probs = np.exp(x @ kernel) / np.exp(x @ kernel).sum(-1, keepdims=True)
        loss -= weight * (target * np.log(probs)).sum(-1).mean()
        np.testing.assert_allclose(after, kernel - 0.5 * weight * x.T @ (probs - target) / 4, rtol=1e-4)
    np.testing.assert_allclose(scalars["loss/train"], loss, rtol=1e-5)


def test_mixup_by_its_definition():
    """Images and losses of a batch and of its reverse, in shares whose larger one is the image's own."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    x, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 1])
    recipe = TrainingRecipe(SGD(momentum=0.0, weight_decay=0.0), mixup=0.7, label_smoothing=0.1)
    step, shares = TrainStep(model, recipe, seed=5), []
    for number in (3, 4):
        step.begin(number, 0.5)
        kernel = model.trainable_variables[0].numpy().astype(np.float64)
        scalars = step(tf.constant(x, tf.float32), tf.constant(labels, tf.int32))
        share = float(mixup_share(0.7, step_seed(5, number, "mixup")))
        mixed = share * x + (1 - share) * x[::-1]
        target = share * np.eye(2)[labels] + (1 - share) * np.eye(2)[labels[::-1]]
        target = 0.9 * target + 0.05
        probs = np.exp(mixed @ kernel) / np.exp(mixed @ kernel).sum(-1, keepdims=True)
        np.testing.assert_allclose(scalars["loss/train"], -(target * np.log(probs)).sum(-1).mean(), rtol=1e-5)
        gradient = mixed.T @ (probs - target) / 4
        np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.5 * gradient, rtol=1e-4, atol=1e-6)
        assert float(scalars["accuracy/train"]) == np.mean(probs.argmax(-1) == labels)
        shares.append(share)
    assert shares[0] != shares[1] and min(shares) >= 0.5
    assert step.function.experimental_get_tracing_count() == 1


def test_the_share_of_mixup_is_the_larger_one_of_a_beta_variable():
    draws = [float(mixup_share(0.4, tf.constant([seed, 7]))) for seed in range(400)]
    half = scipy.stats.beta(0.4, 0.4)
    assert scipy.stats.kstest(draws, lambda value: half.cdf(value) - half.cdf(1 - value)).pvalue > 1e-3


def test_a_trace_spares_the_first_step_its_own_and_changes_nothing():
    calls = []

    class Counted(keras.layers.Dense):
        def call(self, inputs):
            calls.append(1)
            return super().call(inputs)

    keras.utils.set_random_seed(0)
    images = keras.Input((3,))
    model = keras.Model(images, Counted(2)(images))
    x, labels = tf.ones((4, 3)), tf.zeros(4, tf.int32)
    step = TrainStep(model, TrainingRecipe(SGD(weight_decay=0.0)))
    before, made = [variable.numpy() for variable in [*model.variables, *step.optimizer.variables]], len(calls)
    step.trace(x, labels, drop_path=False)
    assert len(calls) == made + 1
    for variable, value in zip([*model.variables, *step.optimizer.variables], before, strict=True):
        np.testing.assert_array_equal(variable, value)
    step(x, labels)
    assert len(calls) == made + 1


def test_step_has_an_optimizer_of_its_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    recipe = TrainingRecipe(SGD(momentum=0.5))
    steps = [TrainStep(model, recipe) for _ in range(2)]
    assert len({id(optimizer) for optimizer in (recipe.optimizer, *(step.optimizer for step in steps))}) == 3
    assert not recipe.optimizer.built and all(step.optimizer.momentum == 0.5 for step in steps)
