"""The search loop.

    per epoch   weights on the training half, logits on the validation half, step by step (bilevel)
                probabilities -> entropy, genotype; accuracy of the supernet and of the discretised network
                temperature <- schedule(epoch, mean entropy)                            (paper, Algorithm 2)
                actions: TensorBoard, genotypes, drawings, table look-up; checkpoint

Nothing here knows the name of a method or of a space: those are the parts that a gin file injects.
"""

import time
from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd import relaxations
from tf_edd.arch_logits import ArchLogits
from tf_edd.bilevel import PHASES
from tf_edd.composition import describe
from tf_edd.data import portion, split
from tf_edd.errors import UserError
from tf_edd.genotype import Genotype
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime import config as gin_config
from tf_edd.runtime import files, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import check_model_dir, open_model_dir
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief, replica_batches
from tf_edd.search_metrics import (
    SHOWN,
    accuracies,
    add_scalars,
    architecture_metrics,
    check_losses,
    check_variables,
    results,
)
from tf_edd.search_state import SearchState
from tf_edd.supernet_evaluation import SupernetEvaluator

READ_STEPS = 20


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
    entropy_at: float | None = None,
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
        entropy_at: temperature of the distribution whose entropy drives the schedule; None for the current one. Eq. 13
            reads as 1.0, the paper's text and Fig. 4 as None.
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
    optimizers = {"weight": _scaled(weight_optimizer), "arch": _scaled(arch_optimizer)}
    step = bilevel(supernet, logits, relaxation, *optimizers.values(), regularizers=regularizers, xla=xla, seed=seed)
    evaluate = SupernetEvaluator(supernet)
    # Written only now: a value that a part refuses must not be the configuration that binds the folder.
    folder = open_model_dir(model_dir, "search", text, seed, settings, overwrite, is_chief(strategy))

    state = SearchState(folder, space, epochs, seed, text, supernet)
    state.temperature_state, state.temperature = temperature.init()
    variables = {"supernet": supernet, "logits": logits}
    variables.update({f"{name}_optimizer": optimizer for name, optimizer in optimizers.items()})
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
            optimizers["weight"].learning_rate = weight_rate(state.epoch)
            optimizers["arch"].learning_rate = arch_rate(state.epoch)
            phases = ("weights",) if state.epoch < frozen_epochs else PHASES
            batches = _batches(halves, state, batch_size, augmentation, strategy)
            for scalars in _steps(step, batches, phases, state, checkpoint_steps or READ_STEPS):
                progress.step(batch_size, lambda last=scalars: _shown(last, state))
                if checkpoint_steps and state.position % checkpoint_steps == 0 and state.position < steps:
                    check_variables(supernet, logits, state)
                    checkpointer.save(state.step)
            metrics = {tag: total / state.position for tag, total in state.sums.items()}
            metrics["speed/images_per_second"] = progress.images_per_second

            _take_logits(state, logits, relaxation, state.temperature)
            check_variables(supernet, logits, state)
            state.genotype = discretizer(state.probs, space)
            metrics.update(architecture_metrics(state))
            metrics.update(accuracies(evaluate, state, halves[1], batch_size, strategy))
            check_losses(metrics, state)
            state.epoch, state.position, state.sums = state.epoch + 1, 0, {}
            if state.epoch > frozen_epochs:
                probs = state.probs if entropy_at is None else _probs(relaxation, state, entropy_at)
                state.temperature_state, state.temperature = temperature.update(
                    state.temperature_state, state.epoch - frozen_epochs, float(relaxations.mean_entropy(probs))
                )
            metrics.update({f"arch/{name}": value for name, value in state.temperature_state.items()})
            state.seconds += time.perf_counter() - began
            metrics["speed/seconds"] = state.seconds
            state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
            for action in actions:
                action.epoch(state, metrics)
            checkpointer.save(state.step)
            progress.end_epoch({name: metrics[tag] for name, tag in SHOWN.items()})

    if is_chief(strategy):
        logging.info("Searched cell: %s", state.genotype)
        files.write_json(folder / "genotype.json", state.genotype.to_json())
    for action in actions:
        action.end(state)
    if is_chief(strategy):
        files.write_json(folder / "results.json", results(state))
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
        half, record = portion(images.train, train, seed)
        return (half, half.twin()), {**record, "valid": None}
    halves = split(images.train, train, valid, seed)
    return (halves.train, halves.valid), halves.record


def _scaled(optimizer):
    """With a scaled loss under float16, as it is otherwise."""
    if keras.config.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _batches(halves, state, batch_size, augmentation, strategy):
    """Pairs of a training and a validation batch: what is left of the epoch under way."""
    both = [
        half.batches(batch_size, state.seed, state.epoch, skip=state.position, augment=augmentation) for half in halves
    ]
    return zip(*(replica_batches(half, strategy) for half in both), strict=False)  # the halves may differ in size


def _steps(step, batches, phases, state, read_steps):
    """Takes a step on each pair of batches and yields its scalars.

    They are read and added up in `state.sums` every `read_steps` steps: reading makes the program wait for the device.
    """
    pending = []
    for train_batch, valid_batch in batches:
        scalars = step.step(train_batch, valid_batch, tf.constant(state.step, tf.int64), phases)
        pending.append(scalars)
        state.step, state.position = state.step + 1, state.position + 1
        if state.position % read_steps == 0:
            add_scalars(pending, state)
        yield scalars
    add_scalars(pending, state)


def _shown(scalars, state) -> dict[str, float]:
    shown = {"loss": float(scalars["loss/weights"]), "t": state.temperature}
    return {**shown, "entropy": state.history[-1]["arch/entropy"]} if state.history else shown


def _probs(relaxation, state, temperature) -> dict[str, np.ndarray]:
    """The noise-free training distribution of the epoch's last logits at this temperature."""
    return {kind: relaxation.mean(value, temperature).numpy() for kind, value in state.logits.items()}


def _take_logits(state, logits, relaxation, temperature) -> None:
    """Logits of now, and their probabilities at this temperature."""
    state.logits = logits.numpy()
    state.probs = _probs(relaxation, state, temperature)
