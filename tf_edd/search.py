"""The search loop.

    per epoch   weights on the training half, logits on the validation half, step by step (bilevel)
                probabilities -> entropy, genotype; accuracy of the supernet and of the discretised network
                temperature <- schedule(epoch, mean entropy)                            (paper, Algorithm 2)
                actions: TensorBoard, genotypes, drawings, table look-up; checkpoint

Nothing here knows the name of a method or of a space: those are the parts that a gin file injects.
"""

import math
import time
from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd import relaxations
from tf_edd.arch_logits import ArchLogits
from tf_edd.composition import describe
from tf_edd.data import split
from tf_edd.errors import UserError
from tf_edd.genotype import Genotype
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime import config as gin_config
from tf_edd.runtime import files, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import check_model_dir, open_model_dir
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief
from tf_edd.search_state import SearchState
from tf_edd.supernet_evaluation import SupernetEvaluator


@gin.configurable(module="tf_edd")
def search(
    model_dir,
    *,
    space=gin.REQUIRED,
    data: Callable = gin.REQUIRED,
    relaxation=gin.REQUIRED,
    temperature=gin.REQUIRED,
    bilevel: Callable = gin.REQUIRED,
    discretizer=gin.REQUIRED,
    weight_optimizer=gin.REQUIRED,
    arch_optimizer=gin.REQUIRED,
    weight_rate=gin.REQUIRED,
    arch_rate=gin.REQUIRED,
    epochs: int = gin.REQUIRED,
    batch_size: int = gin.REQUIRED,
    train: int | float = 0.5,
    valid: int | float | None = 0.5,
    augmentation: Sequence = (),
    regularizers: Sequence = (),
    actions: Sequence = (),
    frozen_epochs: int = 0,
    logit_init_scale: float = 1e-3,
    running_statistics: bool = False,
    xla: bool = False,
    checkpoint_steps: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
    deterministic: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Genotype | str:
    """Searches a cell under the `tf.distribute` strategy in scope, or continues the search in `model_dir`.

    Args:
        model_dir: where everything is written, under `search/`.
        space: the search space.
        data: loader, called with `data_dir`.
        relaxation: logits, temperature, seed -> probabilities.
        temperature: schedule, fed with the mean entropy after each epoch.
        bilevel: builds the step from supernet, logits, relaxation, optimizers, regularizers, xla and seed.
        discretizer: probabilities, space -> genotype.
        weight_optimizer: of the operation weights.
        arch_optimizer: of the architecture logits.
        weight_rate: epoch (from 0) -> learning rate of the weights.
        arch_rate: epoch (from 0) -> learning rate of the logits.
        epochs: length of the search.
        batch_size: images of a step and half, over all replicas.
        train: images of the training half, a count or a fraction.
        valid: the same for the validation half; None for single level: the training half, drawn independently.
        augmentation: of both halves in training, as in the reference code; evaluation takes plain images.
        regularizers: terms added to the losses.
        actions: called after each epoch with the state and the metrics, in this order.
        frozen_epochs: epochs at the start in which the logits and the temperature stay.
        logit_init_scale: standard deviation of the initial logits.
        running_statistics: evaluate the supernet with moving averages instead of batch statistics.
        xla: compile the forward and backward pass of a replica.
        checkpoint_steps: checkpoint also after every so many steps of an epoch.
        data_dir: where the data set lies.
        seed: of logits, weights, halves, order, augmentation and noise.
        deterministic: make every operation deterministic.
        overwrite: start anew where a search exists.
        dry_run: only describe what would run; nothing is written.

    Returns:
        The genotype of the last epoch, or the description for a dry run.

    Raises:
        UserError: unusable data or model_dir, a loss that is not finite, a full disk. Checkpoints are kept.
    """
    strategy = tf.distribute.get_strategy()
    _check(batch_size, epochs, checkpoint_steps, strategy.num_replicas_in_sync)
    images = data(data_dir=data_dir)
    halves, record = _halves(images, train, valid, seed)
    steps = min(half.num_batches(batch_size) for half in halves)
    if steps == 0:
        raise UserError(f"batch_size must fit into both halves ({record}). Received: batch_size={batch_size}")
    if dry_run:
        parts = {"relaxation": relaxation, "temperature": temperature, "discretizer": discretizer}
        return describe(space, images, parts, epochs, steps, batch_size, strategy, record)

    text = gin_config.config_text(("search", "runtime"))
    settings = {
        "data": images.name,
        "halves": record,
        "epochs": epochs,
        "batch_size": batch_size,
        "deterministic": deterministic,
    }
    if not overwrite:
        check_model_dir(model_dir, "search", text, seed, settings)
    seeds.set_seed(seed, deterministic)
    supernet = Supernet(space, images.num_classes, running_statistics)
    supernet.build((None, *images.image_shape))
    logits = ArchLogits(space, seed, logit_init_scale)
    optimizers = [_scaled(optimizer) for optimizer in (weight_optimizer, arch_optimizer)]
    step = bilevel(supernet, logits, relaxation, *optimizers, regularizers=regularizers, xla=xla, seed=seed)
    evaluate = SupernetEvaluator(supernet)
    # Written only now: a value that a part refuses must not be the configuration that binds the folder.
    folder = open_model_dir(model_dir, "search", text, seed, settings, overwrite, is_chief(strategy))

    state = SearchState(folder, space, epochs, seed, text, supernet)
    state.temperature_state, state.temperature = temperature.init()
    variables = dict(
        zip(("supernet", "logits", "weight_optimizer", "arch_optimizer"), (supernet, logits, *optimizers), strict=True)
    )
    checkpointer = Checkpointer(folder, variables, state, chief=is_chief(strategy))
    checkpointer.restore()
    if state.history and state.position == 0:  # the last epoch may be done already, and its files not
        _take_logits(state, logits, relaxation, state.history[-1]["arch/temperature"])
    actions = actions if is_chief(strategy) else ()
    for action in actions:
        action.begin(state)

    with Progress("search", epochs, steps, state.step) as progress:
        while state.epoch < epochs:
            began = time.perf_counter()
            step.temperature.assign(state.temperature)
            for optimizer, rate in zip(optimizers, (weight_rate, arch_rate), strict=True):
                optimizer.learning_rate = rate(state.epoch)
            phases = ("weights",) if state.epoch < frozen_epochs else ("weights", "arch")
            for scalars in _steps(step, halves, state, batch_size, augmentation, phases, strategy):
                progress.step(batch_size, lambda scalars=scalars: _shown(scalars, state))
                if checkpoint_steps and state.position % checkpoint_steps == 0 and state.position < steps:
                    _check_variables(supernet, logits, state)
                    checkpointer.save(state.step)
            _check_variables(supernet, logits, state)
            metrics = {tag: total / state.position for tag, total in state.sums.items()}
            metrics["speed/images_per_second"] = progress.images_per_second

            _take_logits(state, logits, relaxation, state.temperature)
            state.genotype = discretizer(state.probs, space)
            metrics.update(_architecture_metrics(state))
            metrics.update(_accuracies(evaluate, state, halves[1], batch_size, strategy))
            _check_losses(metrics, state)
            state.epoch, state.position, state.sums = state.epoch + 1, 0, {}
            if state.epoch > frozen_epochs:
                state.temperature_state, state.temperature = temperature.update(
                    state.temperature_state, state.epoch - frozen_epochs, metrics["arch/entropy"]
                )
            metrics.update({f"arch/{name}": value for name, value in state.temperature_state.items()})
            state.seconds += time.perf_counter() - began
            metrics["speed/seconds"] = state.seconds
            state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
            for action in actions:
                action.epoch(state, metrics)
            checkpointer.save(state.step)
            progress.end_epoch(_epoch_line(metrics))

    if is_chief(strategy):
        files.write_json(folder / "genotype.json", state.genotype.to_json())
    for action in actions:
        action.end(state)
    if is_chief(strategy):
        files.write_json(folder / "results.json", _results(state))
    return state.genotype


def _check(batch_size, epochs, checkpoint_steps, replicas):
    counts = {"batch_size": batch_size, "epochs": epochs, "checkpoint_steps": checkpoint_steps or 1}
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name} must be an integer of at least 1. Received: {name}={value!r}")
    if batch_size % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: batch_size={batch_size}")


def _halves(images, train, valid, seed):
    """Training and validation images, and what was chosen, for the record."""
    if valid is None:
        half = split(images.train, train, train, seed).train if isinstance(train, int) else images.train
        return (half, half.twin()), {"train": half.size, "valid": None, "seed": seed}
    halves = split(images.train, train, valid, seed)
    return (halves.train, halves.valid), halves.record


def _scaled(optimizer):
    """With a scaled loss under float16, as it is otherwise."""
    if keras.config.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _steps(step, halves, state, batch_size, augmentation, phases, strategy):
    """Takes the remaining steps of the epoch under way and yields their scalars; adds them up in `state.sums`."""
    batches = [
        strategy.experimental_distribute_dataset(
            half.batches(batch_size, state.seed, state.epoch, skip=state.position, augment=augmentation)
        )
        for half in halves
    ]
    for train_batch, valid_batch in zip(*batches, strict=False):  # the halves may differ in size
        scalars = step.step(train_batch, valid_batch, tf.constant(state.step, tf.int64), phases)
        values = {tag: float(value) for tag, value in scalars.items()}
        _check_losses(values, state)
        for tag, value in values.items():
            # under float16 a gradient may overflow; the optimizer then leaves the step out and lowers the loss scale
            state.sums[tag] = state.sums.get(tag, 0.0) + (value if math.isfinite(value) else 0.0)
        state.step, state.position = state.step + 1, state.position + 1
        yield scalars


def _shown(scalars, state) -> dict[str, float]:
    shown = {"loss": state.sums["loss/weights"] / state.position, "t": state.temperature}
    return {**shown, "entropy": state.history[-1]["arch/entropy"]} if state.history else shown


def _check_losses(values, state) -> None:
    broken = [tag for tag, value in values.items() if tag.startswith("loss/") and not math.isfinite(value)]
    if broken:
        raise _diverged(", ".join(broken), state)


def _check_variables(supernet, logits, state) -> None:
    """Before a checkpoint: one that is not finite must not take the place of a good one."""
    for name, variables in (("weights", supernet.variables), ("architecture logits", logits.variables)):
        if not all(np.isfinite(variable.numpy()).all() for variable in variables):
            raise _diverged(name, state)


def _diverged(what, state) -> UserError:
    kept = f"The last good checkpoint in {state.model_dir} is kept" if state.history else "No epoch was finished"
    return UserError(
        f"Expected finite losses, weights and logits. Received: {what} not finite in epoch {state.epoch + 1}. {kept}; "
        "a lower learning rate or float32 may help"
    )


def _take_logits(state, logits, relaxation, temperature) -> None:
    """Logits of now, and the noise-free training distribution at this temperature."""
    state.logits = logits.numpy()
    state.probs = {kind: relaxation.mean(value, temperature).numpy() for kind, value in state.logits.items()}


def _architecture_metrics(state) -> dict[str, float]:
    """Temperature, entropies in nats (paper, Eq. 13) and counts of the operations that a collapse prefers."""
    metrics = {"arch/temperature": state.temperature, "arch/entropy": float(relaxations.mean_entropy(state.probs))}
    for kind, probs in state.probs.items():
        metrics[f"arch/entropy_{kind}"] = float(relaxations.mean_entropy([probs]))
    metrics["arch/skip_count"] = float(state.genotype.count("skip_connect"))
    metrics["arch/none_count"] = float(state.genotype.count("none"))
    return metrics


def _accuracies(evaluate, state, valid, batch_size, strategy) -> dict[str, float]:
    """Loss and accuracy on the validation half, of the supernet and of its discretised network."""
    loss, accuracy = evaluate(state.probs, valid, batch_size, strategy)
    one_hot = state.genotype.one_hot(state.space)
    _, discretized = evaluate(one_hot, valid, batch_size, strategy)
    return {"loss/valid": loss, "accuracy/valid": accuracy, "accuracy/discretized": discretized}


def _epoch_line(metrics) -> dict[str, float]:
    names = {
        "loss": "loss/weights",
        "valid": "accuracy/valid",
        "discretized": "accuracy/discretized",
        "entropy": "arch/entropy",
        "t": "arch/temperature",
    }
    return {name: metrics[tag] for name, tag in names.items()}


def _results(state) -> dict:
    """What the search has come to."""
    logging.info("Searched cell: %s", state.genotype)
    return {
        "genotype": str(state.genotype),
        "epochs": state.epochs,
        "seconds": state.seconds,
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "metrics": {tag: value for tag, value in state.history[-1].items() if isinstance(value, float)},
    }
