"""Trains the network of a genotype from scratch, as the papers of the search spaces evaluate their cells.

    per epoch   one step for each batch of training images
                loss and accuracy on the held-out images, or on the test split where none are held out
                the weights are kept when they are the best ones on the held-out images; checkpoint
    at the end  the best network, measured on the test split

Nothing is chosen by the test split: where no images are held out, its curve is to look at, and the last network counts.
"""

import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.architectures.genotype import Genotype
from tf_edd.data import Augmentation, Data
from tf_edd.part import checked
from tf_edd.runtime import termination
from tf_edd.runtime.check_finite import check_losses, check_variables
from tf_edd.runtime.dry_run import TIMED, check_dry_run
from tf_edd.runtime.folder_lock import released_after
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import has_workers, is_chief, replica_batches, strategy_scope
from tf_edd.spaces import Space
from tf_edd.training.plan import PHASE, RetrainPlan, RetrainRun
from tf_edd.training.recipe import DEFAULT_RECIPE, TrainingRecipe
from tf_edd.training.records import BEST, LAST
from tf_edd.training.timing import estimate

SHOWN = ("loss/train", "accuracy/train", "accuracy/valid", "accuracy/test")


@checked(module="tf_edd")
def retrain(
    model_dir: str | os.PathLike,
    genotype: Genotype | str | None = None,
    *,
    space: Space | None = None,
    data: Data,
    recipe: TrainingRecipe = DEFAULT_RECIPE,
    epochs: int,
    batch_size: int = 64,
    augmentation: Sequence[Augmentation | Callable] | None = (),
    valid: int | float = 0.0,
    steps_per_epoch: int | None = None,
    patience: int | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    overwrite: bool = False,
    dry_run: bool | str = False,
) -> dict:
    """Trains the final network of a cell, or continues the training in `model_dir`.

    It computes under the `tf.distribute` strategy in scope, or where there is none under that of `tf_edd.configure`.

    Args:
        model_dir: Where everything is written, under `retrain/`.
        genotype: The cell, or what `tf_edd.architectures.genotype.load` takes: a file, a text, a published name. None
            for the cell of the finished search in `model_dir`.
        space: Gives the macro skeleton; channels and depth may differ from those of the search. None for the space of
            the search in `model_dir`, at its size.
        data: The images: a loader such as `TfdsImages(...)`, or an `ImageData` such as `from_arrays(...)` returns. All
            training images are used, except `valid`.
        recipe: Optimizer, loss and regularization; by default those of NAS-Bench-201.
        epochs: Length of the training. Learning rate and drop path follow it, also where `patience` ends it earlier.
        batch_size: Images per step, over all replicas; more than there are only with `steps_per_epoch`.
        augmentation: Of the training images, as the data set needs it; that of the recipe follows.
        valid: Training images held out to choose the best network by its accuracy, or loss where that is equal; a
            count or a fraction. The test split is then measured once, at the end. With 0.0 the best network is the last
            one, as in NAS-Bench-201's recipe.
        steps_per_epoch: Length of an epoch, so that the training has epochs x steps_per_epoch steps whatever the number
            of images: passes over them follow one another, and no image is left out. None for one pass an epoch, in
            which a last, smaller batch is left out.
        patience: Ends the training after so many epochs without a better network on the held-out images. None for
            never.
        data_dir: Where the data set lies.
        seed: Of weights, order, augmentation, drop path and the choice of the held-out images.
        overwrite: Start anew where a retraining exists.
        dry_run: Only return sizes and steps; nothing is written. "timed" adds the minutes, from measured steps.

    Returns:
        What `retrain/results.json` holds; for a dry run the sizes and steps.

    Raises:
        UserError: A genotype, data or a model_dir that cannot be used, an unfinished search, a record that differs
            from the one of the retraining in `model_dir`, a loss that is not finite, or a full disk. Checkpoints are
            kept.
    """
    model_dir = local_folder(model_dir)
    parts = {"space": space, "data": data, "recipe": recipe, "augmentation": augmentation, "valid": valid}
    sizes = {"epochs": epochs, "batch_size": batch_size, "steps_per_epoch": steps_per_epoch, "patience": patience}
    check_dry_run(dry_run)
    with strategy_scope():
        plan = RetrainPlan.make(model_dir, genotype, **parts, **sizes, data_dir=data_dir, seed=seed)
        if dry_run:
            return plan.summary() | (estimate(plan) if dry_run == TIMED else {})
        with released_after(model_dir, is_chief(tf.distribute.get_strategy())):
            return _run(plan.start(model_dir, overwrite))


def _run(run: RetrainRun) -> dict:
    """All epochs that are left, and the results."""
    plan, state, steps = run.plan, run.state, run.plan.training.steps
    run.records.begin(plan.genotype)
    progress = Progress(PHASE, plan.epochs, steps, first_step=state.epoch * steps + state.position)
    with progress, termination.finishing(not has_workers(tf.distribute.get_strategy())):
        while not plan.ended(state):
            began = time.perf_counter()
            metrics = {**_train_epoch(run, progress), **_scores(run, "test" if run.best is None else "valid")}
            check_losses(metrics, state.epoch)
            if state.end_epoch(metrics, time.perf_counter() - began):
                run.best.take()
            chosen = {"best_epoch": state.best_epoch} if run.best else {}
            run.records.end_epoch({**metrics, **chosen}, state.epoch)
            run.checkpointer.save(state.epoch * steps)
            progress.end_epoch({tag: metrics[tag] for tag in SHOWN if tag in metrics})
            if termination.requested():
                termination.stop(state.epoch * steps)
    return _finish(run)


def _finish(run: RetrainRun) -> dict:
    """Saves the last and the best network, and measures them on the test split where no epoch has."""
    state, test = run.state, {}
    best = last = state.history[-1]
    run.records.save(LAST)
    if run.best is None:
        state.best_epoch = state.epoch
    else:
        test = _scores(run, "test")
        last = {**last, **test}
        if state.best_epoch < state.epoch:
            run.best.put_back()
            test = _scores(run, "test")
        check_losses(test, state.epoch)
        best = {**state.history[state.best_epoch - 1], **test}
    run.records.save(BEST)
    results = _results(run, best, last)
    text = f"test accuracy {best['accuracy/test']:.4f}, network of epoch {state.best_epoch}, {results['ended']}"
    logging.info("Retrained %s: %s", run.plan.genotype, text)
    run.records.end(state, results, test)
    return results


def _train_epoch(run: RetrainRun, progress: Progress) -> dict[str, float]:
    """One step for each batch that is left; means over the steps, learning rate and speed."""
    plan, state, step, epoch = run.plan, run.state, run.step, run.state.epoch
    learning_rate, drop_path_rate = plan.recipe.rate(epoch), plan.recipe.drop_path_rate
    steps = plan.training.steps
    number = epoch * steps + state.position
    step.begin(number, learning_rate, drop_path_rate * epoch / plan.epochs if drop_path_rate else None)
    scalars = []
    batches = plan.training.batches(epoch, state.position)
    for images, labels in replica_batches(batches, tf.distribute.get_strategy()):
        scalars.append(step(images, labels))
        progress.step(plan.training.batch_size, lambda last=scalars[-1]: {"loss": float(last["loss/train"])})
        if termination.requested() and state.position + len(scalars) < steps:
            _means(run, scalars)
            number = epoch * steps + state.position
            run.checkpointer.save(number)
            termination.stop(number)
    return {
        **_means(run, scalars),
        "learning_rate": learning_rate,
        "speed/images_per_second": progress.images_per_second,
    }


def _means(run: RetrainRun, scalars: Sequence[dict[str, tf.Tensor]]) -> dict[str, float]:
    """Means over the steps of the epoch so far; the scalars of its latest steps are read and go into the state."""
    run.state.add_steps([{tag: float(value) for tag, value in values.items()} for values in scalars])
    means = {tag: float(np.mean(values)) for tag, values in run.state.scalars.items()}
    check_losses(means, run.state.epoch)
    check_variables({"weights": run.step.variables}, run.state.epoch)  # the last update comes after the last loss
    return means


def _scores(run: RetrainRun, part: str) -> dict[str, float]:
    """Loss and accuracy on plain images: those held out ("valid") or the test split ("test")."""
    training = run.plan.training
    images = training.held_out if part == "valid" else run.plan.images.test
    plain = images.batches(training.batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False)
    scores = run.scorer(plain, training.batch_size)
    return {f"loss/{part}": scores.loss, f"accuracy/{part}": scores.accuracy}


def _results(run: RetrainRun, best: dict, last: dict) -> dict:
    """The outcome of the retraining, and what evaluation and export need to know of its data."""
    plan, state = run.plan, run.state
    return {
        **plan.sizes,
        "epochs": state.epoch,
        "planned_epochs": plan.epochs,
        "steps": state.epoch * plan.training.steps,
        "ended": plan.ending(state),
        "best_epoch": state.best_epoch,
        "chosen_by": "the last epoch" if run.best is None else "accuracy on the held-out images",
        "best": best,
        "last": last,
        "seconds": state.seconds,
        "images": plan.training.split,
        "image_shape": plan.images.image_shape,
        "class_names": plan.images.class_names,
        "mean": plan.images.mean,
        "std": plan.images.std,
    }
