"""The end of a one-shot search: a selector chooses the cell from the trained supernet."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tf_edd.architectures.genotype import Genotype
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.runtime import files
from tf_edd.search.metrics import architecture_metrics

LOG = "selection.jsonl"
TABLE = "table/"  # tags of an action that looks the cell up


def select(selector: Callable, loop, state, recalibration_batches: int, chief: bool) -> Genotype:
    """The genotype that `selector` chooses by the accuracies on the validation half with inherited weights.

    Args:
        selector: see `tf_edd.selectors.evolution.Selector`.
        loop: the epochs of the search (`tf_edd.search.epoch.SearchEpoch`), all done.
        state: of the search.
        recalibration_batches: training batches for the moving averages of each cell, if the supernet has some.
        chief: whether this process writes.
    """
    feed = loop.feed
    fitness = InheritedAccuracy(
        loop.supernet,
        feed.valid,
        feed.batch_size,
        feed.strategy,
        feed.train,
        feed.augmentation,
        recalibration_batches,
        state.seed,
        state.epochs,  # the first epoch that training has not had
    )
    settings = {**fitness.record(), "step": state.step}
    path = state.model_dir / LOG
    return selector(state.space, fitness, seed=state.seed, log_path=path, settings=settings, chief=chief)


def selection_record(folder: Path, discretized: Genotype) -> dict:
    """What `results.json` says of a selection.

    Args:
        folder: of the search.
        discretized: the cell of the last epoch; it was not taken.
    """
    settings, *records = files.read_appended(folder / LOG)
    best = max(records, key=lambda record: record["fitness"])  # of equals the first, as selectors choose
    return {
        "selector": settings["settings"]["selector"],
        "evaluations": len(records),
        "accuracy": best["fitness"],
        "discretized": str(discretized),
        "log": LOG,
    }


def selected_metrics(metrics: Mapping[str, float], state) -> dict[str, float]:
    """The metrics of the last epoch with those of its cell replaced by those of the chosen one.

    Args:
        metrics: of the last epoch.
        state: of the search, with the chosen genotype and the record of its selection, which may hold table look-ups.
    """
    kept = {tag: value for tag, value in metrics.items() if not tag.startswith(TABLE)}
    counts = {tag: value for tag, value in architecture_metrics(state).items() if "_count" in tag}
    looked_up = {tag: value for tag, value in state.selection.items() if tag.startswith(TABLE)}
    return {**kept, **counts, "accuracy/discretized": state.selection["accuracy"], **looked_up}
