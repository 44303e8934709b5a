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
    path = _searched(folder) / "genotypes.jsonl"
    return _epochs(files.read_lines(path), path)


def read_selection(folder) -> dict:
    """The cell that a selector has chosen at the end of a search, from `results.json` beside `genotypes.jsonl`.

    Returns:
        "genotype" and metrics, which take the place of those of the last epoch; empty without a selector, and before
        the end.
    """
    path = _searched(folder) / "results.json"
    results = files.read_json(path) if path.is_file() else {}
    return {"genotype": results["genotype"], **results["metrics"]} if "selection" in results else {}


def _searched(folder) -> Path:
    for place in (Path(folder) / "search", Path(folder)):
        if (place / "genotypes.jsonl").is_file():
            return place
    raise UserError(f"Expected the model_dir of a search. Received: {folder} (no genotypes.jsonl in it)")


def _epochs(history: list[dict], path: Path) -> list[dict]:
    if not history:
        raise UserError(f"Expected a search of at least one epoch. Received: {path}, whose first epoch is not finished")
    return history


def table(
    histories: Mapping[str, Sequence[list[dict]]],
    lookup=None,
    column: str = "cifar10_test",
    selections: Mapping[str, Sequence[dict]] | None = None,
) -> str:
    """A Markdown table: a row for each search, then mean, sample standard deviation and best accuracy of each label.

    Args:
        histories: label -> one history for each seed.
        lookup: an accuracy table with `query(genotype text)`, or None; without it no seed is called the best.
        column: which accuracy of that table, in percent.
        selections: label -> `read_selection` of each seed, whose cells then stand in the table; None for those of the
            last epochs.

    Raises:
        UserError: a cell or a column that the table does not have.
    """
    names = ["search", "epochs", *ACCURACIES, "entropy", IDLE_COLUMN, *([column] if lookup else []), "minutes", "cell"]
    lines = [_line(names), _line(["---"] * len(names))]
    for label, seeds in histories.items():
        chosen = selections[label] if selections else [{}] * len(seeds)
        ends = [{**history[-1], **selection} for history, selection in zip(seeds, chosen, strict=True)]
        rows = [_values(end, lookup, column) for end in ends]
        for number, (history, end, values) in enumerate(zip(seeds, ends, rows, strict=True)):
            minutes = f"{end['speed/seconds'] / 60:.1f}"
            cell = f"`{end['genotype']}`".replace("|", "\\|")
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
