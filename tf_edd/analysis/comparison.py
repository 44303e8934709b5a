"""Several searches side by side: every seed, mean, standard deviation and best, as a Markdown table."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_edd.analysis.trajectories import idle_counts
from tf_edd.errors import UserError
from tf_edd.runtime import files

IDLE_COLUMN = "skip, none, noise"  # how many edges of the cell choose one of them
ACCURACIES = {"supernet": "accuracy/valid", "discretised": "accuracy/discretized"}


def read_history(folder) -> list[dict]:
    """The epochs of a search, from `genotypes.jsonl` in a model_dir or in its `search` folder.

    Raises:
        UserError: there is no such file, or no epoch in it.
    """
    for path in (Path(folder) / "search" / "genotypes.jsonl", Path(folder) / "genotypes.jsonl"):
        if path.is_file():
            return _epochs(files.read_lines(path), path)
    raise UserError(f"Expected the model_dir of a search. Received: {folder} (no genotypes.jsonl in it)")


def _epochs(history: list[dict], path: Path) -> list[dict]:
    if not history:
        raise UserError(f"Expected a search of at least one epoch. Received: {path}, whose first epoch is not finished")
    return history


def table(histories: Mapping[str, Sequence[list[dict]]], lookup=None, column: str = "cifar10_test") -> str:
    """A Markdown table: a row for each search, then mean, sample standard deviation and best accuracy of each label.

    Args:
        histories: label -> one history for each seed.
        lookup: an accuracy table with `query(genotype text)`, or None; without it no seed is called the best.
        column: which accuracy of that table, in percent.

    Raises:
        UserError: a cell or a column that the table does not have.
    """
    names = ["search", "epochs", *ACCURACIES, "entropy", IDLE_COLUMN, *([column] if lookup else []), "minutes", "cell"]
    lines = [_line(names), _line(["---"] * len(names))]
    for label, seeds in histories.items():
        rows = [_values(history[-1], lookup, column) for history in seeds]
        for number, (history, values) in enumerate(zip(seeds, rows, strict=True)):
            minutes = f"{history[-1]['speed/seconds'] / 60:.1f}"
            cell = f"`{history[-1]['genotype']}`".replace("|", "\\|")
            lines.append(_line([f"{label} {number}", str(len(history)), *_texts(values), minutes, cell]))
        if len(rows) > 1:
            columns = list(zip(*rows, strict=True))
            spread = [f"{statistics.mean(c):.4g} +- {statistics.stdev(c):.2g}" for c in columns]
            best = f"best of {len(rows)}: {max(columns[-1]):.4g}" if lookup else ""
            lines.append(_line([f"**{label}**", "", *spread, "", best]))
    return "\n".join(lines)


def _values(last: dict, lookup, column: str) -> list[float]:
    values = [last[tag] * 100 for tag in ACCURACIES.values()] + [last["arch/entropy"], int(idle_counts([last])[1][0])]
    return [*values, _accuracy(lookup.query(last["genotype"]), column)] if lookup else values


def _accuracy(row: Mapping[str, float], column: str) -> float:
    columns = [name for name in row if name != "index"]
    if column not in columns:
        raise UserError(f"Expected one of the columns {', '.join(columns)}. Received: {column!r}")
    return row[column]


def _texts(values: Sequence[float]) -> list[str]:
    return [f"{value:.4g}" for value in values]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
