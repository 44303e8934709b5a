"""The search loop.

    per epoch   weights on the training half, logits on the validation half, step by step (bilevel)
                probabilities -> entropy, genotype; accuracy of the supernet and of the discretised network
                temperature <- schedule(epoch, mean entropy)                            (paper, Algorithm 2)
                actions: TensorBoard, genotypes, drawings, table look-up; checkpoint

Nothing here knows the name of a method or of a space: those are the parts that a gin file injects.
"""

import functools
from collections.abc import Callable, Sequence

import gin
import keras
import tensorflow as tf
from absl import logging

from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import ArchLogits
from tf_edd.data import portion, split
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.regularizers.regularizers import check_active
from tf_edd.runtime import config as gin_config
from tf_edd.runtime import files, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import check_model_dir, open_model_dir
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief
from tf_edd.search.description import describe
from tf_edd.search.epoch import Feed, SearchEpoch, SearchParts
from tf_edd.search.metrics import SHOWN, results
from tf_edd.search.selection import select, selected_metrics, selection_record
from tf_edd.spaces.check_images import check_images
from tf_edd.steps.first_order import PHASES


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
    selector: Callable | None = None,
    recalibration_batches: int = 200,
    rematerialize: bool = False,
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
        relaxation: logits, temperature, seed -> probabilities; None for a step without logits.
        temperature: schedule, fed with the mean entropy after each epoch.
        bilevel: builds the step from supernet, logits, relaxation, optimizers, regularizers, xla and seed. Where it has
            `phases`, the step takes these alone, and images of their halves; where it has `check`, that comes first.
        discretizer: probabilities, space -> genotype.
        weight_optimizer: of the operation weights.
        arch_optimizer: of the architecture logits; None for a step without logits.
        weight_rate: epoch (from 0) -> learning rate of the weights.
        arch_rate: epoch (from 0) -> learning rate of the logits; None for a step without logits.
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
        selector: chooses the genotype from the trained supernet after the last epoch, by the accuracy of cells on the
            validation half with inherited weights. None for the cell of the last epoch: that of the discretizer, for
            sampled paths the best of the cells that the step draws. See `tf_edd.selectors.evolution`.
        recalibration_batches: training batches on which the moving averages of each cell are gathered before the
            selector sees its accuracy; of `running_statistics` alone.
        rematerialize: run each edge again in the backward pass in place of keeping what is inside it: less memory for
            more time, the same gradients.
        xla: compile the forward and backward pass of a replica.
        checkpoint_steps: checkpoint also after every so many steps of an epoch.
        data_dir: where the data set lies.
        seed: of logits, weights, halves, order, augmentation and noise.
        deterministic: make every operation deterministic.
        overwrite: start anew where a search exists.
        dry_run: only describe what would run; nothing is written.

    Returns:
        The genotype of the last epoch or of the selector, or the description for a dry run.

    Raises:
        UserError: unusable data, selector or model_dir, a loss that is not finite, a full disk. Checkpoints are kept.
    """
    strategy = tf.distribute.get_strategy()
    _check(batch_size, epochs, checkpoint_steps, recalibration_batches, strategy.num_replicas_in_sync)
    _check_schedule(frozen_epochs, epochs, entropy_at)
    images = data(data_dir=data_dir)
    check_images(space, images.image_shape)
    halves, record = _halves(images, train, valid, seed)
    feed = Feed(*halves, batch_size, augmentation, strategy, getattr(bilevel, "phases", PHASES))
    if feed.steps == 0:
        raise UserError(f"batch_size must fit into both halves ({record}). Received: batch_size={batch_size}")
    selector = selector and selector.prepare(space, images.image_shape, images.num_classes, seed)
    parts = SearchParts(relaxation, temperature, discretizer, weight_rate, arch_rate)
    text = gin_config.config_text(("search", "runtime"))
    if hasattr(bilevel, "check"):
        arch = {"arch_optimizer": arch_optimizer, "arch_rate": arch_rate, "frozen_epochs": frozen_epochs}
        arch |= {"relaxation": relaxation, "regularizers": regularizers, "entropy_at": entropy_at}
        bilevel.check(space, feed, {**arch, "rematerialize": rematerialize})
    check_active(regularizers, epochs)
    if dry_run:
        told = describe(space, images, parts, epochs, feed, frozen_epochs, record, bilevel)
        return f"{told}\n\n{text}" if text else told

    settings = _settings(images, record, epochs, batch_size, frozen_epochs, deterministic, parts)
    if not overwrite:
        check_model_dir(model_dir, "search", text, seed, settings)
    seeds.set_seed(seed, deterministic)
    supernet = Supernet(space, images.num_classes, running_statistics, rematerialize)
    supernet.build((None, *images.image_shape))
    logits = ArchLogits(space, seed, logit_init_scale)
    optimizers = {"weights": _scaled(weight_optimizer), "arch": _scaled(arch_optimizer)}
    step = bilevel(supernet, logits, relaxation, *optimizers.values(), regularizers=regularizers, xla=xla, seed=seed)
    step.prepare(feed)
    optimizers = {phase: optimizers[phase] for phase in step.phases}
    # Written only now: a value that a part refuses must not be the configuration that binds the folder.
    folder = open_model_dir(model_dir, "search", text, seed, settings, overwrite, is_chief(strategy))
    state = SearchState(folder, space, epochs, seed, text, supernet, relaxation, feed)
    state.selects = selector is not None
    state.temperature_state, state.temperature = temperature.init()
    checkpointer = _checkpointer(state, logits, optimizers, step, is_chief(strategy))
    if not overwrite:  # another worker could read what the chief is about to remove
        checkpointer.restore()
    loop = SearchEpoch(
        supernet, step, parts, optimizers, feed, frozen_epochs, entropy_at, checkpointer, checkpoint_steps
    )
    choose = selector and functools.partial(select, selector, loop, state, recalibration_batches, is_chief(strategy))
    return _run(loop, state, actions if is_chief(strategy) else (), checkpointer, is_chief(strategy), choose)


def _settings(images, halves, epochs, batch_size, frozen_epochs, deterministic, parts) -> dict:
    """What a resumed search must have in common with the one that began, beside the gin text."""
    return {
        "data": images.name,
        "halves": halves,
        "epochs": epochs,
        "batch_size": batch_size,
        "frozen_epochs": frozen_epochs,
        "deterministic": deterministic,
        "parts": parts.record(),
    }


def _checkpointer(state, logits, optimizers, step, chief) -> Checkpointer:
    names = {"weights": "weight_optimizer", "arch": "arch_optimizer"}
    slots = {names[phase]: optimizer for phase, optimizer in optimizers.items()}
    variables = {"supernet": state.supernet, "logits": logits, **slots, **step.variables}
    return Checkpointer(state.model_dir, variables, state, chief=chief)


def _run(loop: SearchEpoch, state, actions, checkpointer, chief, choose=None) -> Genotype:
    """All epochs that are left, and what comes after the last."""
    if state.history and state.position == 0:  # the last epoch may be done already, and its files not
        loop.take_logits(state, state.history[-1]["arch/temperature"])
    for action in actions:
        action.begin(state)
    with Progress("search", state.epochs, loop.feed.steps, state.step) as progress:
        while state.epoch < state.epochs:
            metrics = loop(state, progress)
            for action in actions:
                action.epoch(state, metrics)
            checkpointer.save(state.step)
            progress.end_epoch({name: metrics[tag] for name, tag in SHOWN.items()})
    if choose:
        discretized, state.genotype = state.genotype, choose()
        state.selection = selection_record(state.model_dir, discretized) if chief else None
    if chief:
        logging.info("Searched cell: %s", state.genotype)
        files.write_json(state.model_dir / "genotype.json", state.genotype.to_json())
    for action in actions:
        action.end(state)
    if chief:
        files.write_json(state.model_dir / "results.json", _results(state))
    return state.genotype


def _results(state) -> dict:
    """What the search has come to; all of it, but for the record of a selection, speaks of one cell."""
    told = results(state)
    if state.selection is None:
        return told
    return {**told, "metrics": selected_metrics(told["metrics"], state), "selection": state.selection}


def _check(batch_size, epochs, checkpoint_steps, recalibration_batches, replicas):
    counts = {"batch_size": batch_size, "epochs": epochs, "checkpoint_steps": checkpoint_steps or 1}
    counts["recalibration_batches"] = recalibration_batches
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{name} must be an integer of at least 1. Received: {name}={value!r}")
    if batch_size % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: batch_size={batch_size}")


def _check_schedule(frozen_epochs, epochs, entropy_at):
    if not isinstance(frozen_epochs, int) or not 0 <= frozen_epochs < epochs:
        raise UserError(
            f"frozen_epochs must be an integer from 0 to epochs - 1 = {epochs - 1}: the logits have to move. "
            f"Received: frozen_epochs={frozen_epochs!r}"
        )
    if entropy_at is not None and not entropy_at > 0:
        raise UserError(f"entropy_at must be above 0 or None. Received: entropy_at={entropy_at!r}")


def _halves(images, train, valid, seed):
    """Training and validation images, and what was chosen, for the record."""
    if valid is None:
        half, record = portion(images.train, train, seed)
        return (half, half.twin()), {**record, "valid": None}
    halves = split(images.train, train, valid, seed)
    return (halves.train, halves.valid), halves.record


def _scaled(optimizer):
    """With a scaled loss under float16, as it is otherwise."""
    if optimizer is not None and keras.config.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
