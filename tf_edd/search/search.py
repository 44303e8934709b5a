"""The search loop.

    per epoch   weights on the training split, architecture on the validation split, step by step
                decisions, where the method has some: edges that keep one operation, or none
                weights of the candidates -> entropy, genotype; accuracy of the supernet and of the discretized network
                temperature <- schedule(tick, mean entropy)                             (paper, Algorithm 2)
                actions: TensorBoard, genotypes, drawings, table look-up; checkpoint

The temperature has a clock of its own (`tf_edd.search.clock`): a tick after each epoch, or so many in a whole search.
Nothing here knows the name of a method or of a space: those are parts.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from tf_edd.actions import DEFAULT_ACTIONS, Action
from tf_edd.architectures.genotype import from_text
from tf_edd.data import Augmentation, Data
from tf_edd.errors import require_count
from tf_edd.part import checked
from tf_edd.relaxations import mean_entropy
from tf_edd.runtime import files, termination
from tf_edd.runtime.check_finite import check_losses, check_variables
from tf_edd.runtime.dry_run import TIMED, check_dry_run
from tf_edd.runtime.file_names import GENOTYPE, RESULTS
from tf_edd.runtime.folder_lock import released_after
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import has_workers, is_chief, strategy_scope
from tf_edd.search.decide import decide
from tf_edd.search.method import Method
from tf_edd.search.metrics import SHOWN, add_scalars, architecture_metrics
from tf_edd.search.plan import SearchPlan, SearchRun
from tf_edd.search.result import PROBS, SearchResult, results
from tf_edd.search.timing import estimate
from tf_edd.spaces import Space
from tf_edd.steps import EpochInfo, StepInfo
from tf_edd.stoppers import Verdict

READ_STEPS = 20


@checked(module="tf_edd")
def search(
    model_dir: str | os.PathLike,
    *,
    space: Space,
    data: Data,
    method: Method,
    epochs: int,
    batch_size: int,
    split: tuple[float, float | None] = (0.5, 0.5),
    steps_per_epoch: int | None = None,
    measured_images: int | None = None,
    max_image_side: int | None = None,
    augmentation: Sequence[Augmentation | Callable] | None = (),
    actions: Sequence[Action] = DEFAULT_ACTIONS,
    rematerialize: bool = False,
    checkpoint_steps: int | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    overwrite: bool = False,
    dry_run: bool | str = False,
) -> SearchResult | str:
    """Searches an architecture, or continues the search in `model_dir`.

    It computes under the `tf.distribute` strategy in scope, or where there is none under that of `tf_edd.configure`.

    Args:
        model_dir: Where everything is written, under `search/`.
        space: The search space.
        data: The images: a loader such as `TfdsImages(...)`, or an `ImageData` such as `from_arrays(...)` returns.
        method: The composition of the search method.
        epochs: Length of the search.
        batch_size: Images per step and split, over all replicas.
        split: Images of the training and of the validation split, counts or fractions. None for the second is for
            single-level searches: one split, drawn twice in independent orders.
        steps_per_epoch: Steps of an epoch, however many images there are: each goes on in both splits where the one
            before has ended, and no image is left out. None for one pass over the smaller split.
        measured_images: The largest number of images of the validation split, always the same, on which the accuracies
            of an epoch are measured; the last epoch takes all of them, and so does None.
        max_image_side: Larger images are scaled down, after augmentation, until their longer side has so many pixels;
            the final network takes them as they are. None for no scaling.
        augmentation: Of both splits in training, as in the reference code; evaluation takes plain images.
        actions: Called after each epoch; their order does not matter. They see the search and never change it.
        rematerialize: Run each edge again in the backward pass instead of keeping what is inside it: less memory for
            more time, the same gradients.
        checkpoint_steps: Checkpoint also after every so many steps of an epoch.
        data_dir: Where the data set lies.
        seed: Of logits, weights, splits, order, augmentation and noise.
        overwrite: Start anew where a search exists.
        dry_run: Only describe what would run; nothing is written. "timed" adds the minutes, from measured steps.

    Returns:
        The result, or for a dry run the description.

    Raises:
        UserError: Unusable data, parts or model_dir, a record that differs from the one of the search in `model_dir`, a
            loss that is not finite, or a full disk. Checkpoints are kept.
    """
    model_dir = local_folder(model_dir)
    if checkpoint_steps is not None:
        require_count(note=" or None", checkpoint_steps=checkpoint_steps)
    parts = {"space": space, "data": data, "method": method, "augmentation": augmentation, "split": split}
    check_dry_run(dry_run)
    sizes = {"epochs": epochs, "batch_size": batch_size, "rematerialize": rematerialize}
    sizes |= {"steps_per_epoch": steps_per_epoch, "measured_images": measured_images, "max_image_side": max_image_side}
    with strategy_scope():
        plan = SearchPlan.make(**parts, **sizes, data_dir=data_dir, seed=seed)
        plan.try_parts()
        if dry_run:
            return plan.text(estimate(plan) if dry_run == TIMED else None)
        with released_after(model_dir, is_chief(plan.batches.strategy)):
            return _run(plan.start(model_dir, actions, checkpoint_steps, overwrite))


def _run(run: SearchRun) -> SearchResult:
    """All epochs that are left, and what comes after the last."""
    state = run.state
    if state.history and state.position == 0:  # the last epoch may be done already, and its files not
        _take_architecture(run, state.history[-1]["arch/temperature"])
    actions = [action.begin(state) for action in run.actions]
    progress = Progress("search", state.epochs, run.batches.steps, state.step)
    with progress, termination.finishing(not has_workers(run.batches.strategy)):
        while state.epoch < state.epochs and _verdict(run) is None:
            began = time.perf_counter()
            _take_steps(run, progress)
            speed = progress.images_per_second
            metrics = {**_measure(run), "speed/images_per_second": speed}
            state.epoch, state.position, state.sums = state.epoch + 1, 0, {}
            if tick := run.clock.tick(state.step):
                _update_temperature(run, tick)
            metrics |= {f"arch/{name}": value for name, value in state.temperature_state.items()}
            state.seconds += time.perf_counter() - began
            metrics["speed/seconds"] = state.seconds
            state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
            for measured in [action.measure(state) for action in actions]:
                metrics |= measured
                state.history[-1] |= measured
            for action in actions:
                action.epoch(state, metrics)
            run.checkpointer.save(state.step)
            progress.end_epoch({name: metrics[tag] for name, tag in SHOWN.items()})
            if termination.requested():
                termination.stop(state.step)
    _take_result(run)
    for finish in run.finishers:
        finish(run)
    if run.chief:
        logging.info("Searched cell: %s", state.genotype)
        files.write_json(state.folder / GENOTYPE, state.genotype.to_json())
    for action in actions:
        action.end(state)
    if run.chief:
        files.write_json(state.folder / RESULTS, results(state))
    return SearchResult(state.genotype, tuple(state.history), state.folder)


def _verdict(run: SearchRun) -> Verdict | None:
    """What the stopper says of the epochs so far."""
    state, stopper = run.state, run.method.stopper
    return stopper(state.history, state.space, state.epochs) if stopper is not None and state.history else None


def _take_result(run: SearchRun) -> None:
    """The cell of the epoch that counts, if that is not the last one."""
    state = run.state
    if (verdict := _verdict(run)) is not None:
        state.verdict = verdict._asdict()
        row = state.history[verdict.epoch - 1]
        state.genotype = from_text(row["genotype"], state.space)
        if PROBS in row:  # recorded by an action; the drawings show them
            state.probs = {cell_type: np.asarray(table, np.float32) for cell_type, table in row[PROBS].items()}
        logging.warning("The result is the cell of epoch %d of %d: %s.", verdict.epoch, state.epochs, verdict.reason)


def _take_steps(run: SearchRun, progress: Progress) -> None:
    """The steps of an epoch that are left; their scalars are added up in `state.sums`.

    They are read now and then: reading makes the program wait for the device.
    """
    state, step, steps, pending = run.state, run.step, run.batches.steps, []
    _set_rates(run)
    order = step.image_order(state.epoch)
    for batches in run.batches.epoch(state.seed, state.epoch, state.position, order):
        done = state.step / (state.epochs * steps)
        phases = ("weights",) if run.clock.warming_up(state.step) else step.phases
        began = state.epoch / state.epochs
        pending.append(step(batches, StepInfo(state.step, state.epoch, done, state.temperature, phases, began)))
        last_scalars = pending[-1]
        state.step, state.position = state.step + 1, state.position + 1
        if state.position < steps and (tick := run.clock.tick(state.step)):  # at the end it comes after measuring
            _update_temperature(run, tick)
            _set_rates(run)
        stopping, every = termination.requested(), run.checkpoint_steps
        if stopping or state.position % (every or READ_STEPS) == 0:
            add_scalars(pending, state)
        progress.step(run.batches.batch_size, functools.partial(_shown, last_scalars, state))
        if state.position < steps and (stopping or (every and state.position % every == 0)):
            _check_variables(run)
            run.checkpointer.save(state.step)
            if stopping:
                termination.stop(state.step)
    add_scalars(pending, state)


def _set_rates(run: SearchRun) -> None:
    """The learning rates of now: they change where an epoch begins, and at ticks within it."""
    epoch = run.clock.epoch_at(run.clock.last_change(run.state.step))
    rates = run.method.rates(epoch, run.state.temperature)
    for phase, optimizer in run.optimizers.items():
        optimizer.learning_rate = rates[phase]


def _measure(run: SearchRun) -> dict[str, float]:
    """The metrics of the epoch, by TensorBoard tag; sets the state's architecture and genotype."""
    state = run.state
    epoch = EpochInfo(state.epoch, state.epochs, state.step, state.seed, run.batches)
    metrics = decide(run) | run.step.end_epoch(epoch)
    metrics |= {tag: total / state.position for tag, total in state.sums.items()}
    architecture = _take_architecture(run, state.temperature)
    _check_variables(run)
    epoch = EpochInfo(state.epoch, state.epochs, state.step, state.seed, run.batches, architecture)
    images = run.batches.valid if state.epoch + 1 == state.epochs else run.measured

    def evaluate(probs, progress=None):
        return run.evaluate(probs, images, run.batches.batch_size, run.batches.strategy, progress)

    validation = run.step.validate(epoch, evaluate, run.method.discretizer)
    state.genotype = validation.genotype
    metrics |= architecture_metrics(state)
    metrics |= validation.metrics
    check_losses(metrics, state.epoch)
    return metrics


def _take_architecture(run: SearchRun, temperature: float):
    """Puts the logits of now, and the weights of the candidates at this temperature, into the state."""
    architecture = run.step.architecture(temperature)
    run.state.logits, run.state.probs = architecture
    return architecture


def _update_temperature(run: SearchRun, tick: int) -> None:
    """The temperature after a tick, from the entropy of now (paper, Algorithm 2)."""
    state = run.state
    entropy = float(mean_entropy(run.step.architecture(run.method.entropy_temperature or state.temperature).probs))
    state.temperature_state, state.temperature = run.method.temperature.update(state.temperature_state, tick, entropy)
    if run.method.ticks is not None:
        state.ticks.append({"step": state.step, "entropy": entropy, "temperature": state.temperature})


def _check_variables(run: SearchRun) -> None:
    groups = {
        "weights": run.supernet.variables,
        "architecture logits": [np.asarray(table) for table in run.step.architecture(1.0).logits.values()],
    }
    check_variables(groups, run.state.epoch)


def _shown(scalars, state) -> dict[str, float]:
    shown = {"loss": float(scalars["loss/weights"]), "t": state.temperature}
    return {**shown, "entropy": state.history[-1]["arch/entropy"]} if state.history else shown
