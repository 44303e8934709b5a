"""The end of a one-shot search: a selector chooses the cell from the trained supernet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tf_edd.architectures.genotype import Genotype
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.runtime import files
from tf_edd.runtime.evaluation_log import check_accuracies
from tf_edd.search.metrics import architecture_metrics

if TYPE_CHECKING:
    from tf_edd.search.plan import SearchRun

LOG = "selection.jsonl"
TABLE = "table/"  # tags of an action that looks the cell up


def select(run: "SearchRun") -> None:
    """Sets the genotype that the selector chooses by accuracies on the validation split with inherited weights."""
    state, batches, selector = run.state, run.batches, run.method.selector
    fitness = InheritedAccuracy(
        run.supernet,
        batches.valid,
        batches.batch_size,
        batches.strategy,
        batches.train,
        batches.augmentation,
        selector.recalibration_batches,
        state.seed,
        state.epochs,  # the first epoch that training has not had
    )
    settings = {**fitness.record(), "step": state.step}
    path = state.folder / LOG
    check_accuracies(path)
    discretized = state.genotype
    state.genotype = selector(state.space, fitness, seed=state.seed, log_path=path, settings=settings, chief=run.chief)
    state.selection = selection_record(state.folder, state.genotype, discretized) if run.chief else None


def selection_record(folder: Path, chosen: Genotype, discretized: Genotype) -> dict:
    """What `results.json` says of a selection.

    Args:
        folder: Of the search.
        chosen: The cell that the selector has taken.
        discretized: The cell of the last epoch; it was not taken.
    """
    settings, *records = files.read_appended(folder / LOG)
    fitness = {record["candidate"]: record["fitness"] for record in records}
    return {
        "selector": settings["settings"]["selector"],
        "evaluations": len(records),
        "accuracy": fitness[str(chosen)],
        "discretized": str(discretized),
        "log": LOG,
    }


def selected_metrics(metrics: Mapping[str, float], state) -> dict[str, float]:
    """The metrics of the last epoch with those of its cell replaced by those of the chosen one.

    Args:
        metrics: Of the last epoch.
        state: Of the search, with the chosen genotype and the record of its selection, which may hold table look-ups.
    """
    kept = {tag: value for tag, value in metrics.items() if not tag.startswith(TABLE)}
    counts = {tag: value for tag, value in architecture_metrics(state).items() if "_count" in tag}
    looked_up = {tag: value for tag, value in state.selection.items() if tag.startswith(TABLE)}
    return {**kept, **counts, "accuracy/discretized": state.selection["accuracy"], **looked_up}
