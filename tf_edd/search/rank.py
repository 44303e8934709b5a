"""How well a trained supernet ranks cells: inherited accuracies beside those of a NAS-Bench-201 table."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tf_edd.analysis import figure_files
from tf_edd.analysis.counting import count
from tf_edd.analysis.ranking import LEAST_CELLS, check_confidence, draw_ranking, kendall_tau, ranking_cells
from tf_edd.architectures import table as tables
from tf_edd.architectures.genotype import from_text
from tf_edd.data import Augmentation, Data, ImageData, as_augmentations
from tf_edd.data.batches import make_splits
from tf_edd.errors import UserError, require_count, require_one_of
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.networks.supernet import Supernet
from tf_edd.part import checked
from tf_edd.runtime import files, folder_lock
from tf_edd.runtime.checkpoint import read_part
from tf_edd.runtime.evaluation_log import EvaluationLog, check_accuracies
from tf_edd.runtime.file_names import SPACE
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.model_dir import RECORD, read_record
from tf_edd.runtime.progress import Progress
from tf_edd.runtime.strategy import is_chief, strategy_scope
from tf_edd.runtime.writing import writing
from tf_edd.search.plan import MAX_IMAGE_SIDE, searched_images
from tf_edd.spaces import Space, nas_bench_201, space_from_json

PARTS = ("test", "valid")
STATISTICS = ("batch", "recalibrated")
LOG, RESULT, FIGURE = "ranking.jsonl", "ranking.json", "ranking.png"
_EPOCH = 2**30  # of the training images in a recalibration; no training comes there


@checked(module="tf_edd")
def rank(
    model_dir: str | os.PathLike,
    *,
    table: tables.NasBench201Table | tables.Table,
    data: Data,
    augmentation: Sequence[Augmentation | Callable] | None = (),
    column: str = "cifar10_test",
    cells: int = 200,
    images: str = "test",
    batch_size: int = 512,
    statistics: str = "batch",
    recalibration_batches: int = 200,
    confidence: float = 0.95,
    resamples: int = 2000,
    data_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> dict:
    """Kendall's tau between inherited and table accuracy over a fixed sample of cells.

    Writes `search/ranking.json` (all pairs) and `search/ranking.png`; `search/ranking.jsonl` keeps each inherited
    accuracy as it comes, so that the same call continues.

    Args:
        model_dir: Of the search, finished or running; the newest checkpoint is taken.
        table: Of NAS-Bench-201.
        data: The data set of the search.
        augmentation: Of the training images, for recalibrated statistics; that of the search.
        column: Which accuracy of the table.
        cells: How many of the sample, from its beginning; where the search had no `none`, those without it count.
        images: "test", or "valid" for the validation split of the search.
        batch_size: Images per batch, over all replicas and divisible by their number; batch statistics make it matter.
        statistics: Of the batch norms: "batch", or "recalibrated": moving averages over training batches, for each
            cell anew.
        recalibration_batches: How many.
        confidence: Of the interval of tau.
        resamples: Bootstrap samples for it.
        data_dir: Where the data set lies.
        overwrite: Measure anew what was measured.
        dry_run: Only describe; nothing is written.

    Returns:
        What `ranking.json` holds, or the description for a dry run.

    Raises:
        UserError: No checkpoint, another space or data set, a search with `Method.edges` or decisions, a column that
            the table does not have or that is about another data set, a log of another checkpoint or of other settings,
            impossible numbers.
    """
    model_dir = local_folder(model_dir)
    counts = {"cells": cells, "batch_size": batch_size, "recalibration_batches": recalibration_batches}
    with strategy_scope():
        strategy = tf.distribute.get_strategy()
        _check(images, statistics, strategy.num_replicas_in_sync, resamples=resamples, **counts)
        check_confidence(confidence)
        folder, table = Path(model_dir) / "search", table.load()
        space = _searched_space(folder)
        sample = _sample(cells, space)
        measured = [_accuracy(table, cell, column) for cell in sample]
        pictures = data.load(data_dir)
        _check_column(column, pictures.name)
        record = read_record(folder)
        _check_method(record["method"])
        pictures = searched_images(pictures, record.get(MAX_IMAGE_SIDE))
        train, valid = _splits(record, pictures)
        supernet, state = _restore(folder, space, pictures, record["method"]["running_statistics"], statistics)
        accuracy = InheritedAccuracy(
            supernet,
            pictures.test if images == "test" else valid,
            batch_size,
            strategy,
            train,
            as_augmentations(augmentation),
            recalibration_batches,
            epoch=_EPOCH,
        )
        settings = {"step": state["step"], "part": images, "statistics": statistics, **accuracy.record()}
        if dry_run:
            return {**settings, "epoch": state["epoch"], "cells": len(sample), "column": column}
        chief = is_chief(strategy)
        if not overwrite:
            check_accuracies(folder / LOG)
        # Of this folder alone: a search that still runs may be ranked.
        with folder_lock.locked(folder) if chief else contextlib.nullcontext():
            inherited = _measure(accuracy, space, sample, EvaluationLog(folder / LOG, settings, chief, anew=overwrite))
            tau = kendall_tau(inherited, measured, confidence, resamples)
            rows = zip(sample, inherited, measured, strict=True)
            pairs = [{"cell": cell, "inherited": own, column: known} for cell, own, known in rows]
            result = {"tau": vars(tau), "epoch": state["epoch"], **settings, "column": column, "pairs": pairs}
            if chief:
                files.write_json(folder / RESULT, result)
                _draw(folder, inherited, measured, tau, _parameters(space, sample, pictures), column)
    return result


def _parameters(space: Space, sample: Sequence[str], pictures: ImageData) -> list[int]:
    """Of the final network of each cell."""
    shape, classes = pictures.image_shape, pictures.num_classes
    return [count(space, from_text(cell, space), shape, classes).parameters for cell in sample]


def _sample(cells: int, space: Space) -> list[str]:
    """Those of the first cells of the sample that the space has.

    Raises:
        UserError: Too few are left.
    """
    known = {operation for cell in space.cells for edge in cell.edges for operation in edge.primitives}
    everything = nas_bench_201()
    sample = [text for text in ranking_cells()[:cells] if known.issuperset(from_text(text, everything).operations())]
    if len(sample) < LEAST_CELLS:
        raise UserError(
            f"The search has the operations {sorted(known)}, and of the first {cells} cells of the sample "
            f"{len(sample)} have no other; {LEAST_CELLS} are needed. Received: cells={cells}"
        )
    return sample


def _draw(folder: Path, inherited, measured, tau, parameters, column: str) -> None:
    with writing(folder / FIGURE):
        figure_files.save(draw_ranking(inherited, measured, tau, parameters, column), folder / FIGURE)


def _check(images: str, statistics: str, replicas: int, **counts: int) -> None:
    require_one_of(PARTS, images=images)
    require_one_of(STATISTICS, statistics=statistics)
    require_count(**counts)
    if not LEAST_CELLS <= counts["cells"] <= len(ranking_cells()):
        allowed = f"at least {LEAST_CELLS} and not exceed the {len(ranking_cells())} of the sample"
        raise UserError(f"cells must be {allowed}. Received: cells={counts['cells']}")
    if counts["batch_size"] % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: {counts['batch_size']}")


def _check_column(column: str, data: str) -> None:
    """Refuses the accuracies of another data set of the table than that of the search."""
    known = {name.rpartition("_")[0] for name in tables.ACCURACIES}
    if data in known and column.rpartition("_")[0] in known - {data}:
        raise UserError(f"The search was on {data}: expected rank.column = '{data}_test'. Received: column={column!r}")


def _searched_space(folder: Path) -> Space:
    if not (folder / RECORD).is_file() or not (folder / SPACE).is_file():
        raise UserError(f"Expected the model_dir of a search. Received: {folder.parent} (it has no search/{SPACE})")
    space = space_from_json(files.read_json(folder / SPACE))
    if space.name != tables.SPACE:
        raise UserError(f"The table knows cells of space {tables.SPACE!r}. Received: a search in {space.name!r}")
    return space


def _check_method(method: Mapping) -> None:
    """Refuses searches whose supernet is not that of plain candidates, by the record of their method."""
    if method.get("decisions"):
        raise UserError(
            "The ranking knows supernets of which all candidates were trained to the end. Received: a search with "
            f"Method.decisions = {method['decisions']['@']}"
        )
    if method.get("edges"):
        raise UserError(
            "The ranking knows supernets whose edges hold their candidates alone. Received: a search with "
            f"Method.edges = {[part['@'] for part in method['edges']]}"
        )


def _accuracy(table: tables.Table, cell: str, column: str) -> float:
    row = table.query(cell)
    if column not in row or column == "index":
        known = ", ".join(name for name in row if name != "index")
        raise UserError(f"column must be one of {known}. Received: column={column!r}")
    return float(row[column])


def _splits(record: dict, pictures: ImageData):
    """The training and the validation split of the search, by its record.

    Raises:
        UserError: Another data set.
    """
    recorded, name = record["splits"], record["images"]["name"]
    if name == pictures.name and recorded["images"] == pictures.train.size:
        train, valid, made = make_splits(pictures, (recorded["train"], recorded["valid"]), recorded["seed"])
        if json.loads(json.dumps(made)) == recorded:
            return train, valid
    raise UserError(
        f"Expected the data set of the search: {name!r}, {recorded['images']} training images. Received: "
        f"{pictures.name!r}, {pictures.train.size} training images, or the same in another order"
    )


def _restore(folder: Path, space, pictures: ImageData, running_statistics: bool, statistics: str):
    """The supernet with these statistics and the newest weights, and the state of the search."""
    trained = _build(space, pictures, running_statistics)
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
