"""Trains the network of a genotype from scratch, as the search spaces' papers evaluate their cells.

    per epoch   one step a batch on the training images; loss and accuracy on the held-out part and on the test split
                checkpoint; the network itself when it is the best one on the held-out part

The test split is measured for the curves only: nothing is chosen by it.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gin
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.analysis.counting import count
from tf_edd.architectures import genotype as genotypes
from tf_edd.architectures.genotype import Genotype
from tf_edd.data import split
from tf_edd.data.images import Images
from tf_edd.errors import UserError
from tf_edd.evaluation.scorer import Scorer
from tf_edd.networks.final_network import build_final_network, inference_model
from tf_edd.runtime import config as gin_config
from tf_edd.runtime import seeds
from tf_edd.runtime.check_finite import check_losses, check_variables
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import check_model_dir, open_model_dir
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief, replica_batches
from tf_edd.spaces.check_images import check_images
from tf_edd.training.records import Records, RetrainState
from tf_edd.training.train_step import TrainStep

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
    extra_augmentation: Sequence = (),
    valid: int | float = 0.0,
    label_smoothing: float = 0.0,
    auxiliary_weight: float = 0.0,
    drop_path_rate: float = 0.0,
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
        augmentation: of the training images, as the data set asks for it.
        extra_augmentation: more of it behind, as the recipe asks for it; `cutout` in the DARTS space.
        valid: training images held out to choose the best network, a count or a fraction. With 0.0 the best network
            is the last one, as in NAS-Bench-201's recipe.
        label_smoothing: e in the target (1 - e) one_hot + e / classes.
        auxiliary_weight: of the loss of the side branch; 0.0 for none. It is trained along, never counted or exported.
        drop_path_rate: p; an operation of a cell is dropped with probability p e / epochs in epoch e = 0, 1, ...
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
    _check(batch_size, epochs, weight_gradient_clip, strategy.num_replicas_in_sync)
    _check_weights(auxiliary_weight, label_smoothing=label_smoothing, drop_path_rate=drop_path_rate)
    images = data(data_dir=data_dir)
    train, held_out, record = _parts(images.train, valid, seed)
    check_images(space, images.image_shape, auxiliary_weight > 0)
    steps = train.num_batches(batch_size)
    if steps == 0:
        raise UserError(f"batch_size must not exceed the {train.size} images. Received: batch_size={batch_size}")
    sizes = _sizes(space, genotype, images)
    if dry_run:
        return {**sizes, "epochs": epochs, "steps_per_epoch": steps, "steps": epochs * steps, **record}

    augmentation = (*augmentation, *extra_augmentation)
    losses = {
        "label_smoothing": label_smoothing,
        "auxiliary_weight": auxiliary_weight,
        "drop_path_rate": drop_path_rate,
        "weight_gradient_clip": weight_gradient_clip,
    }
    settings = _settings(genotype, images, record, epochs, batch_size, augmentation, losses, deterministic)
    text = gin_config.config_text((PHASE, "evaluate", "export", "runtime"))
    if not overwrite:
        check_model_dir(model_dir, PHASE, text, seed, settings)
    seeds.set_seed(seed, deterministic)
    branches = {"drop_path": drop_path_rate > 0, "auxiliary": auxiliary_weight > 0}
    model = build_final_network(space, genotype, images.image_shape, images.num_classes, **branches)
    network = inference_model(model)
    step = TrainStep(model, optimizer, label_smoothing, weight_gradient_clip, xla, auxiliary_weight, seed)
    # Written only now: what the network or the optimizer refuses must not be the configuration that binds the folder.
    folder = open_model_dir(model_dir, PHASE, text, seed, settings, overwrite, chief)
    state, records = RetrainState(), Records(folder, network, chief)
    checkpointer = Checkpointer(folder, {"model": model, "optimizer": step.optimizer}, state, chief=chief)
    if not overwrite:  # another worker could read what the chief is about to remove
        checkpointer.restore()
    scorer = Scorer(lambda x: network(x, training=False), images.num_classes)
    scored = {"valid": held_out, "test": images.test}
    epoch = RetrainEpoch(step, train, augmentation, batch_size, seed, epochs, rate, drop_path_rate, scorer, scored)
    records.begin(genotype)
    _run(epoch, state, steps, records, checkpointer)
    results = _results(state, genotype, images, sizes, record)
    records.end(state, results, save_best=held_out is None)
    return results


@dataclasses.dataclass(frozen=True)
class RetrainEpoch:
    """`epoch(state, progress)` trains and scores the network for one epoch more.

    Attributes:
        step: of the weights.
        images: to train on.
        augmentation: of these images.
        batch_size: images a step, over all replicas.
        seed: of order and augmentation.
        epochs: length of the training.
        rate: epoch (from 0) -> learning rate.
        drop_path_rate: what the drop path reaches at the end; 0.0 for a network without.
        scorer: of the inference network.
        scored: part -> images to score on, or None.
    """

    step: TrainStep
    images: Images
    augmentation: Sequence
    batch_size: int
    seed: int
    epochs: int
    rate: Callable[[int], float]
    drop_path_rate: float
    scorer: Scorer
    scored: Mapping[str, Images | None]

    def __call__(self, state, progress) -> dict[str, float]:
        """The metrics of the epoch, tag -> value.

        Raises:
            UserError: a loss or a weight that is not finite.
        """
        rate, number = self.rate(state.epoch), state.epoch * self.images.num_batches(self.batch_size)
        self.step.begin(number, rate, self.drop_path_rate * state.epoch / self.epochs if self.drop_path_rate else None)
        batches = self.images.batches(self.batch_size, self.seed, state.epoch, augment=self.augmentation)
        metrics = _train_epoch(self.step, batches, self.batch_size, progress, state)
        metrics["learning_rate"] = rate
        metrics["speed/images_per_second"] = progress.images_per_second
        metrics.update(_scores(self.scorer, self.scored, self.batch_size))
        check_losses(metrics, state.epoch)
        return metrics


def _run(epoch: RetrainEpoch, state, steps, records, checkpointer) -> None:
    """All epochs that are left."""
    with Progress(PHASE, epoch.epochs, steps, state.epoch * steps) as progress:
        while state.epoch < epoch.epochs:
            began = time.perf_counter()
            metrics = epoch(state, progress)
            best = state.end_epoch(metrics, time.perf_counter() - began)
            records.end_epoch(metrics, state.epoch, best)
            checkpointer.save(state.epoch * steps)
            progress.end_epoch({tag: metrics[tag] for tag in ("loss/train", "accuracy/train", "accuracy/test")})
    state.best_epoch = state.best_epoch or state.epoch  # without a held-out part the last network is the best


def _settings(genotype, images, record, epochs, batch_size, augmentation, losses, deterministic) -> dict:
    """What a resumed training must have in common with the one that began, beside the gin text."""
    return {
        "genotype": str(genotype),
        "data": images.name,
        "images": record,
        "epochs": epochs,
        "batch_size": batch_size,
        "augmentation": [str(part) for part in augmentation],
        **losses,
        "deterministic": deterministic,
    }


def _genotype(given, model_dir, space) -> Genotype:
    if isinstance(given, Genotype):
        return given.check(space)
    return genotypes.load(given or str(Path(model_dir) / "search" / "genotype.json"), space)


def _check(batch_size, epochs, clip, replicas) -> None:
    if batch_size < 1 or batch_size % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: batch_size={batch_size}")
    if epochs < 1:
        raise UserError(f"epochs must be at least 1. Received: epochs={epochs}")
    if clip is not None and not clip > 0:
        raise UserError(f"weight_gradient_clip must be positive or None. Received: weight_gradient_clip={clip}")


def _check_weights(auxiliary_weight, **shares) -> None:
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise UserError(f"{name} must lie in [0, 1). Received: {name}={value}")
    if not 0 <= auxiliary_weight < math.inf:
        raise UserError(f"auxiliary_weight must not be negative. Received: auxiliary_weight={auxiliary_weight}")


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


def _scores(scorer, parts, batch_size) -> dict[str, float]:
    """Loss and accuracy on plain images of the parts that there are."""
    metrics = {}
    for part, images in parts.items():
        if images is not None:
            plain = images.batches(batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False)
            scores = scorer(plain, batch_size)
            metrics.update({f"loss/{part}": scores.loss, f"accuracy/{part}": scores.accuracy})
    return metrics


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
