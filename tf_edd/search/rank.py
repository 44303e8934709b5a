"""How well a trained supernet ranks cells: inherited accuracies beside those of a NAS-Bench-201 table."""

import copy
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gin
import tensorflow as tf

from tf_edd.actions.action import check_at_least_one
from tf_edd.runtime.writing import writing
from tf_edd.analysis import drawing
from tf_edd.analysis.counting import count
from tf_edd.analysis.ranking import LEAST_CELLS, check_confidence, draw_ranking, kendall_tau, ranking_cells
from tf_edd.architectures import table as tabular
from tf_edd.architectures.genotype import from_text
from tf_edd.data import portion, split
from tf_edd.data.images import ImageData
from tf_edd.errors import UserError
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime import files
from tf_edd.runtime.checkpoint import read_part
from tf_edd.runtime.evaluation_log import EvaluationLog
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief
from tf_edd.search.search import search

PARTS = ("test", "valid")
STATISTICS = ("batch", "recalibrated")
LOG, RESULT, FIGURE = "ranking.jsonl", "ranking.json", "ranking.png"
_EPOCH = 2**30  # of the training images in a recalibration; no training comes there


@gin.configurable(module="tf_edd")
def rank(
    model_dir,
    *,
    table: tabular.Table = gin.REQUIRED,
    column: str = "cifar10_test",
    cells: int = 200,
    images: str = "test",
    batch_size: int = 512,
    statistics: str = "batch",
    recalibration_batches: int = 200,
    confidence: float = 0.95,
    resamples: int = 2000,
    data_dir: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> dict:
    """Kendall's tau between inherited and table accuracy over a fixed sample of cells, under the strategy in scope.

    The space, the data and the augmentation are those that gin binds for `search`. Writes `search/ranking.json` (all
    pairs) and `search/ranking.png`; `search/ranking.jsonl` keeps each inherited accuracy as it comes, so that the same
    call continues.

    Args:
        model_dir: of the search, finished or running; the newest checkpoint is taken.
        table: of NAS-Bench-201.
        column: which accuracy of the table.
        cells: how many of the sample, from its beginning.
        images: "test", or "valid" for the validation half of the search.
        batch_size: images a batch, over all replicas and divisible by their number; batch statistics make it matter.
        statistics: of the batch norms: "batch", or "recalibrated": moving averages over training batches, for each
            cell anew.
        recalibration_batches: how many.
        confidence: of the interval of tau.
        resamples: bootstrap samples for it.
        data_dir: where the data set lies.
        overwrite: measure anew what was measured.
        dry_run: only describe; nothing is written.

    Returns:
        What `ranking.json` holds, or the description for a dry run.

    Raises:
        UserError: no checkpoint, another space or data set, a column that the table does not have or that speaks of
            another data set, a log of another checkpoint or of other settings, impossible numbers.
    """
    counts = {"cells": cells, "batch_size": batch_size, "recalibration_batches": recalibration_batches}
    strategy = tf.distribute.get_strategy()
    _check(images, statistics, strategy.num_replicas_in_sync, resamples=resamples, **counts)
    check_confidence(confidence)
    folder, space, sample = Path(model_dir) / "search", _searched_space(), ranking_cells()[:cells]
    measured = [_accuracy(table, cell, column) for cell in sample]
    pictures = _bound("data")(data_dir=data_dir)
    _check_column(column, pictures.name)
    train, valid = _halves(folder, pictures)
    supernet, state = _restore(folder, space, pictures, statistics)
    accuracy = InheritedAccuracy(
        supernet,
        pictures.test if images == "test" else valid,
        batch_size,
        strategy,
        train,
        _bound("augmentation"),
        recalibration_batches,
        epoch=_EPOCH,
    )
    settings = {"step": state["step"], "part": images, "statistics": statistics, **accuracy.record()}
    if dry_run:
        return {**settings, "epoch": state["epoch"], "cells": len(sample), "column": column}
    chief = is_chief(strategy)
    inherited = _measure(accuracy, space, sample, EvaluationLog(folder / LOG, settings, chief, anew=overwrite))
    tau = kendall_tau(inherited, measured, confidence, resamples)
    rows = zip(sample, inherited, measured, strict=True)
    pairs = [{"cell": cell, "inherited": own, column: known} for cell, own, known in rows]
    result = {"tau": vars(tau), "epoch": state["epoch"], **settings, "column": column, "pairs": pairs}
    if chief:
        sizes = [count(space, from_text(cell, space), pictures.image_shape, pictures.num_classes) for cell in sample]
        files.write_json(folder / RESULT, result)
        with writing(folder / FIGURE):
            parameters = [size.parameters for size in sizes]
            drawing.save(draw_ranking(inherited, measured, tau, parameters, column), folder / FIGURE)
    return result


def _check(images: str, statistics: str, replicas: int, **counts: int) -> None:
    for name, value, allowed in (("images", images, PARTS), ("statistics", statistics, STATISTICS)):
        if value not in allowed:
            raise UserError(f"{name} must be one of {', '.join(allowed)}. Received: {name}={value!r}")
    check_at_least_one(**counts)
    if not LEAST_CELLS <= counts["cells"] <= len(ranking_cells()):
        allowed = f"at least {LEAST_CELLS} and not exceed the {len(ranking_cells())} of the sample"
        raise UserError(f"cells must be {allowed}. Received: cells={counts['cells']}")
    if counts["batch_size"] % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: {counts['batch_size']}")


def _check_column(column: str, data: str) -> None:
    """Refuses the accuracies of another data set of the table than that of the search."""
    known = {name.rpartition("_")[0] for name in tabular.ACCURACIES}
    if data in known and column.rpartition("_")[0] in known - {data}:
        raise UserError(f"The search was on {data}: expected rank.column = '{data}_test'. Received: column={column!r}")


def _bound(name: str) -> Any:
    """The value of an argument of `search`: bound by gin, or its default.

    Raises:
        UserError: neither.
    """
    bindings = gin.get_bindings(search, resolve_references=False)
    value = bindings.get(name, inspect.signature(search).parameters[name].default)
    if value is gin.REQUIRED:
        raise UserError(
            f"Expected the configuration of the search, which binds search.{name}. Received: none (give the --gin_file "
            "of the search if its folder has no config.gin)"
        )
    return copy.deepcopy(value)  # the copy evaluates gin's references


def _searched_space():
    space = _bound("space")
    if space.name != tabular.SPACE:
        raise UserError(f"The table knows cells of space {tabular.SPACE!r}. Received: a search in {space.name!r}")
    return space


def _accuracy(table: tabular.Table, cell: str, column: str) -> float:
    row = table.query(cell)
    if column not in row or column == "index":
        known = ", ".join(name for name in row if name != "index")
        raise UserError(f"column must be one of {known}. Received: column={column!r}")
    return float(row[column])


def _halves(folder: Path, pictures: ImageData):
    """The training and the validation half of the search, by its record.

    Raises:
        UserError: no search there, or another data set.
    """
    if not (folder / "record.json").is_file():
        raise UserError(f"Expected the model_dir of a search. Received: {folder.parent} (it has no search/record.json)")
    settings = files.read_json(folder / "record.json")["settings"]
    halves, seed = settings["halves"], settings["halves"]["seed"]
    if settings["data"] == pictures.name and halves["images"] == pictures.train.size:
        if halves["valid"] is None:
            parts = portion(pictures.train, halves["train"], seed)
            return parts[0], parts[0].twin()
        parts = split(pictures.train, halves["train"], halves["valid"], seed)
        if json.loads(json.dumps(parts.record)) == halves:
            return parts.train, parts.valid
    raise UserError(
        f"Expected the data set of the search: {settings['data']!r}, {halves['images']} training images. Received: "
        f"{pictures.name!r}, {pictures.train.size} training images, or the same in another order"
    )


def _restore(folder: Path, space, pictures: ImageData, statistics: str):
    """The supernet with these statistics and the newest weights, and the state of the search."""
    trained = _build(space, pictures, _bound("running_statistics"))
    state = read_part(folder, {"supernet": trained})
    supernet = _build(space, pictures, statistics == "recalibrated")
    for to, value in zip(supernet.trainable_variables, trained.trainable_variables, strict=True):
        to.assign(value)
    return supernet, state


def _build(space, pictures: ImageData, running_statistics: bool) -> Supernet:
    supernet = Supernet(space, pictures.num_classes, running_statistics)
    supernet.build((None, *pictures.image_shape))
    return supernet


def _measure(accuracy: Callable, space, sample, log: EvaluationLog) -> list[float]:
    """The inherited accuracy of each cell."""
    values = []
    with Progress("ranking", 1, len(sample), log.left) as progress:
        for cell in sample:
            known = log.left > 0
            values.append(log(cell, lambda text=cell: accuracy(from_text(text, space))))
            if not known:
                progress.step(accuracy.images.size, {"best": max(values)})
        progress.end_epoch({"best": max(values)})
    return values
