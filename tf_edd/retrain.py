"""Trains the network of a genotype from scratch, as the search spaces' papers evaluate their cells.

    per epoch   one step a batch on the training images; loss and accuracy on the held-out part and on the test split
                checkpoint; the network itself when it is the best one on the held-out part

The test split is measured for the curves only: nothing is chosen by it.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gin
import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd import genotype as genotypes
from tf_edd.analysis.counting import count
from tf_edd.data import split
from tf_edd.errors import UserError
from tf_edd.finite import check_losses, check_variables
from tf_edd.genotype import Genotype
from tf_edd.gradients import apply_gradients, share_of_accuracy, share_of_mean
from tf_edd.networks.final_network import build_final_network
from tf_edd.retrain_records import BEST, LAST, RetrainState, Summaries, save_network, write_curves
from tf_edd.runtime import config as gin_config
from tf_edd.runtime import files, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import open_model_dir
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief, replica_batches
from tf_edd.scoring import Scorer

PHASE = "retrain"


@gin.configurable(module="tf_edd")
def retrain(
    model_dir,
    genotype: Genotype | str | None = None,
    *,
    space=gin.REQUIRED,
    data: Callable = gin.REQUIRED,
    optimizer=gin.REQUIRED,
    rate: Callable = gin.REQUIRED,
    epochs: int = gin.REQUIRED,
    batch_size: int = gin.REQUIRED,
    augmentation: Sequence = (),
    valid: int | float = 0.0,
    label_smoothing: float = 0.0,
    weight_gradient_clip: float | None = None,
    xla: bool = False,
    data_dir: str | None = None,
    seed: int = 0,
    deterministic: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> dict:
    """Trains the final network under the `tf.distribute` strategy in scope, or continues it in `model_dir`.

    Args:
        model_dir: where everything is written, under `retrain/`.
        genotype: the cell; a file or a cell string; None for `model_dir/search/genotype.json`.
        space: gives the macro skeleton; channels and depth may differ from those of the search.
        data: loader, called with `data_dir`; all its training images are used, except `valid`.
        optimizer: of the weights.
        rate: epoch (from 0) -> learning rate.
        epochs: length of the training.
        batch_size: images a step, over all replicas.
        augmentation: of the training images.
        valid: training images held out to choose the best network, a count or a fraction. With 0.0 the best network
            is the last one, as in NAS-Bench-201's recipe.
        label_smoothing: e in the target (1 - e) one_hot + e / classes.
        weight_gradient_clip: largest global norm of the gradient, None for no limit.
        xla: compile the forward and backward pass of a replica.
        data_dir: where the data set lies.
        seed: of weights, order, augmentation and the held-out part.
        deterministic: make every operation deterministic.
        overwrite: start anew where a retraining exists.
        dry_run: only return sizes and steps; nothing is written.

    Returns:
        What `retrain/results.json` holds; for a dry run the sizes and steps.

    Raises:
        UserError: unusable genotype, data or model_dir, a loss that is not finite, a full disk. Checkpoints are kept.
    """
    strategy = tf.distribute.get_strategy()
    chief = is_chief(strategy)
    genotype = _genotype(genotype, model_dir, space)
    _check(batch_size, epochs, label_smoothing, weight_gradient_clip, strategy.num_replicas_in_sync)
    images = data(data_dir=data_dir)
    train, held_out, record = _parts(images.train, valid, seed)
    steps = train.num_batches(batch_size)
    if steps == 0:
        raise UserError(f"batch_size must not exceed the {train.size} images. Received: batch_size={batch_size}")
    sizes = _sizes(space, genotype, images)
    if dry_run:
        return {**sizes, "epochs": epochs, "steps_per_epoch": steps, "steps": epochs * steps, **record}

    settings = {
        "genotype": str(genotype),
        "data": images.name,
        "images": record,
        "epochs": epochs,
        "batch_size": batch_size,
        "augmentation": [str(part) for part in augmentation],
        "label_smoothing": label_smoothing,
        "weight_gradient_clip": weight_gradient_clip,
        "deterministic": deterministic,
    }
    text = gin_config.config_text((PHASE, "evaluate", "export", "runtime"))
    folder = open_model_dir(model_dir, PHASE, text, seed, settings, overwrite, chief)
    seeds.set_seed(seed, deterministic)
    model = build_final_network(space, genotype, images.image_shape, images.num_classes)
    step = TrainStep(model, optimizer, label_smoothing, weight_gradient_clip, xla)
    scorer = Scorer(lambda x: model(x, training=False), images.num_classes)
    state = RetrainState()
    checkpointer = Checkpointer(folder, {"model": model, "optimizer": step.optimizer}, state, chief=chief)
    checkpointer.restore()
    if chief:
        files.write_json(folder / "genotype.json", genotype.to_json())
    summaries = Summaries(folder, chief)

    with Progress(PHASE, epochs, steps, state.epoch * steps) as progress:
        while state.epoch < epochs:
            began = time.perf_counter()
            step.optimizer.learning_rate = rate(state.epoch)
            batches = train.batches(batch_size, seed, state.epoch, augment=augmentation)
            metrics = _train_epoch(step, batches, batch_size, progress, state)
            metrics["learning_rate"] = rate(state.epoch)
            metrics["speed/images_per_second"] = progress.images_per_second
            for part, pictures in (("valid", held_out), ("test", images.test)):
                if pictures is not None:
                    scores = scorer(_plain(pictures, batch_size), batch_size)
                    metrics.update({f"loss/{part}": scores.loss, f"accuracy/{part}": scores.accuracy})
            check_losses(metrics, state.epoch)
            state.epoch += 1
            state.seconds += time.perf_counter() - began
            state.history.append({"epoch": state.epoch, **metrics})
            if held_out is not None and state.take_best(metrics["accuracy/valid"], metrics["loss/valid"]):
                _save(model, folder / BEST, chief)  # before the checkpoint that calls it the best
            summaries.write(metrics, state.epoch)
            checkpointer.save(state.epoch * steps)
            progress.end_epoch({tag: metrics[tag] for tag in ("loss/train", "accuracy/train", "accuracy/test")})

    if held_out is None:
        state.best_epoch = state.epoch
        _save(model, folder / BEST, chief)
    _save(model, folder / LAST, chief)
    results = _results(state, genotype, images, sizes, record)
    if chief:
        write_curves(state.history, folder)
        files.write_lines(folder / "history.jsonl", state.history)
        files.write_json(folder / "results.json", results)
    return results


class TrainStep:
    """One step of the weights: `step(images, labels)` -> scalars, under the strategy in which it is made.

    Args:
        model: images -> logits.
        optimizer: built here on the model's trainable variables.
        label_smoothing: e in the target (1 - e) one_hot + e / classes.
        clip: largest global norm of the gradient, or None.
        xla: compile the forward and backward pass.
    """

    def __init__(self, model, optimizer, label_smoothing=0.0, clip=None, xla=False):
        if keras.config.dtype_policy().name == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.optimizer = optimizer
        self._model, self._smoothing, self._clip = model, label_smoothing, clip
        self._strategy = tf.distribute.get_strategy()
        self.variables = model.variables
        self.optimizer.build(model.trainable_variables)
        self._pass = tf.function(self._gradients, jit_compile=True, autograph=False) if xla else self._gradients
        self.function = tf.function(self._step, autograph=False)

    def __call__(self, images, labels) -> dict[str, tf.Tensor]:
        """Takes a step on a batch (per replica under a strategy); returns its loss and accuracy, on the device."""
        return self.function(images, labels)

    def _step(self, images, labels):
        scalars = self._strategy.run(self._replica, args=(images, labels))
        return {tag: self._strategy.reduce(tf.distribute.ReduceOp.SUM, scalars[tag], axis=None) for tag in scalars}

    def _replica(self, images, labels):
        loss, accuracy, gradients = self._pass(images, labels)
        apply_gradients(self.optimizer, gradients, self._model.trainable_variables, self._clip)
        return {"loss/train": loss, "accuracy/train": accuracy}

    def _gradients(self, images, labels):
        variables = [variable.value for variable in self._model.trainable_variables]
        with tf.GradientTape() as tape:
            logits = self._model(images, training=True)
            loss = share_of_mean(smoothed_cross_entropy(labels, logits, self._smoothing))
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, share_of_accuracy(labels, logits), gradients


def smoothed_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-sum_c q_c log p_c with q = (1 - e) one_hot(label) + e / classes, for each example.

    Args:
        labels: int [B].
        logits: [B, classes].
        smoothing: e.

    Returns:
        [B].
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not smoothing:
        return losses
    return (1 - smoothing) * losses - smoothing * tf.reduce_mean(tf.nn.log_softmax(logits), -1)


def _genotype(given, model_dir, space) -> Genotype:
    if isinstance(given, Genotype):
        return given.check(space)
    return genotypes.load(given or str(Path(model_dir) / "search" / "genotype.json"), space)


def _check(batch_size, epochs, smoothing, clip, replicas) -> None:
    if batch_size < 1 or batch_size % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: batch_size={batch_size}")
    if epochs < 1:
        raise UserError(f"epochs must be at least 1. Received: epochs={epochs}")
    if not 0 <= smoothing < 1:
        raise UserError(f"label_smoothing must lie in [0, 1). Received: label_smoothing={smoothing}")
    if clip is not None and not clip > 0:
        raise UserError(f"weight_gradient_clip must be positive or None. Received: weight_gradient_clip={clip}")


def _parts(images, valid, seed):
    """Images to train on, images held out (or None), and what was chosen, for the record."""
    if not valid:
        return images, None, {"train": images.size, "valid": 0}
    held_out = int(valid * images.size + 1e-6) if isinstance(valid, float) and 0 < valid < 1 else valid
    if not isinstance(held_out, int) or not 0 < held_out < images.size:
        raise UserError(f"valid must be a fraction in [0, 1) or a count below {images.size}. Received: valid={valid!r}")
    halves = split(images, images.size - held_out, held_out, seed)
    return halves.train, halves.valid, halves.record


def _sizes(space, genotype, images) -> dict:
    counts = count(space, genotype, images.image_shape, images.num_classes)
    return {
        "genotype": str(genotype),
        "space": space.name,
        "data": images.name,
        "parameters": counts.parameters,
        "multiply_adds": counts.multiply_adds,
    }


def _plain(images, batch_size):
    return images.batches(batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False)


def _train_epoch(step, batches, batch_size, progress, state) -> dict[str, float]:
    """Means over the steps of an epoch; a loss that is not finite ends the training."""
    scalars = []
    for images, labels in replica_batches(batches, tf.distribute.get_strategy()):
        scalars.append(step(images, labels))
        progress.step(batch_size, lambda last=scalars[-1]: {"loss": float(last["loss/train"])})
    means = {tag: float(np.mean([float(values[tag]) for values in scalars])) for tag in scalars[0]}
    check_losses(means, state.epoch)
    check_variables({"weights": step.variables}, state.epoch)  # the last update comes after the last loss
    return means


def _save(model, folder, chief) -> None:
    if chief:
        save_network(model, folder)


def _results(state, genotype, images, sizes, record) -> dict:
    """What the retraining has come to, and what evaluation and export need to know of its data."""
    logging.info("Retrained %s: test accuracy %.4f", genotype, state.history[-1]["accuracy/test"])
    return {
        **sizes,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "best": state.history[state.best_epoch - 1],
        "last": state.history[-1],
        "seconds": state.seconds,
        "images": record,
        "image_shape": images.image_shape,
        "class_names": images.class_names,
        "mean": images.mean,
        "std": images.std,
    }
