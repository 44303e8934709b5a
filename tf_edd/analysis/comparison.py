"""Several searches side by side: every seed, mean, standard deviation and best, as a Markdown table and a figure."""

import html
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_edd.analysis import comparison_figure, figure_files, trajectories
from tf_edd.architectures.table import Table, open_table
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPES, RESULTS

COLLAPSE_COLUMN = "skip, none, noise"  # how many edges of the cell choose one of them
ACCURACIES = {"supernet": "accuracy/valid", "discretized": "accuracy/discretized"}


def report(
    searches: Mapping[str, Sequence[str | Path]],
    table: Table | str | Path | None = None,
    column: str = "cifar10_test",
    figure: str | Path | None = None,
) -> str:
    """A Markdown table of several searches, and a figure of their course.

        print(report({"EDD-DARTS": ["runs/edd_0", "runs/edd_1"], "DARTS-V1": ["runs/darts_0"]}))

    The table has a row per search: validation accuracy of the supernet and of the discretized network in percent, mean
    entropy in nats, edges that choose skip, none or noise, and the accuracy in `table`. Labels of several seeds are
    followed by mean and sample standard deviation. A search with a selector is shown with the selected cell and its
    accuracy with inherited weights. See `tf_edd.analysis.comparison_figure.compare` for the figure.

    Args:
        searches: Label -> the model_dir of each seed.
        table: A NAS-Bench-201 table or its path; without one there is no accuracy after full training.
        column: The accuracy to read in the table, in percent.
        figure: PNG or SVG file to draw the course of the searches into.

    Raises:
        UserError: A folder without a search or without a finished epoch, a table, cell or column that does not exist,
            or a figure that cannot be written.
    """
    histories = {label: [read_history(folder) for folder in folders] for label, folders in searches.items()}
    lookup = table if table is None or isinstance(table, Table) else open_table(table)
    selections = {label: [read_selection(folder) for folder in folders] for label, folders in searches.items()}
    text = markdown_table(histories, lookup, column, selections)
    if figure:
        ends = _ends(histories, selections, lookup, column)
        figure_files.save(comparison_figure.compare(histories, ends=ends, table_tag=f"table/{column}"), figure)
    return text


def _ends(histories, selections, lookup, column: str) -> dict[str, list[dict]]:
    """Label -> the last epoch of each seed, with the selected cell and the accuracy in the table."""
    ends = {}
    for label, seeds in histories.items():
        rows = [{**history[-1], **chosen} for history, chosen in zip(seeds, selections[label], strict=True)]
        if lookup:
            rows = [{**row, f"table/{column}": _accuracy(lookup.query(row["genotype"]), column)} for row in rows]
        ends[label] = rows
    return ends


def read_history(folder) -> list[dict]:
    """The epochs of a search, from `genotypes.jsonl` in a model_dir or in its `search` folder.

    Raises:
        UserError: There is no such file, or no epoch in it.
    """
    path = _searched(folder) / GENOTYPES
    history = files.read_history(path)
    if not history:
        raise UserError(f"Expected a search of at least one epoch. Received: {path}, whose first epoch is not finished")
    return history


def read_selection(folder) -> dict:
    """The cell that a selector has chosen at the end of a search, from `results.json` beside `genotypes.jsonl`.

    Returns:
        "genotype" and the metrics that replace those of the last epoch; empty without a selector, and before the end.
    """
    path = _searched(folder) / RESULTS
    results = files.read_object(path) if path.is_file() else {}
    return {"genotype": results["genotype"], **results["metrics"]} if "selection" in results else {}


def _searched(folder) -> Path:
    for place in (Path(folder) / "search", Path(folder)):
        if (place / GENOTYPES).is_file():
            return place
    raise UserError(f"Expected the model_dir of a search. Received: {folder} (no {GENOTYPES} in it)")


def markdown_table(
    histories: Mapping[str, Sequence[list[dict]]],
    lookup=None,
    column: str = "cifar10_test",
    selections: Mapping[str, Sequence[dict]] | None = None,
) -> str:
    """A row per search, then mean, sample standard deviation and best accuracy of each label.

    Args:
        histories: Label -> one history for each seed.
        lookup: An accuracy table with `query(genotype text)`, or None; without it no seed is called the best.
        column: The accuracy of that table, in percent.
        selections: Label -> `read_selection` of each seed, whose cells then replace those of the last epochs.

    Raises:
        UserError: The table does not have a cell or the column.
    """
    names = [
        "search",
        "epochs",
        *ACCURACIES,
        "entropy",
        COLLAPSE_COLUMN,
        *([column] if lookup else []),
        "minutes",
        "cell",
    ]
    lines = [_line(names), _line(["---"] * len(names))]
    for label, seeds in histories.items():
        chosen = selections[label] if selections else [{}] * len(seeds)
        ends = [{**history[-1], **selection} for history, selection in zip(seeds, chosen, strict=True)]
        rows = [_values(end, lookup, column) for end in ends]
        label = plain_text(label)
        for number, (history, end, values) in enumerate(zip(seeds, ends, rows, strict=True)):
            minutes = f"{end['speed/seconds'] / 60:.1f}"
            cell = _escaped(f"`{end['genotype']}`")
            lines.append(_line([f"{label} {number}", str(len(history)), *_texts(values), minutes, cell]))
        if len(rows) > 1:
            columns = list(zip(*rows, strict=True))
            spread = [f"{statistics.mean(c):.4g} +- {statistics.stdev(c):.2g}" for c in columns]
            best = f"best of {len(rows)}: {max(columns[-1]):.4g}" if lookup else ""
            lines.append(_line([f"**{label}**", "", *spread, "", best]))
    return "\n".join(lines)


def _values(last: dict, lookup, column: str) -> list[float]:
    collapsed = int(trajectories.collapse_counts([last])[1][0])
    values = [last[tag] * 100 for tag in ACCURACIES.values()] + [last["arch/entropy"], collapsed]
    return [*values, _accuracy(lookup.query(last["genotype"]), column)] if lookup else values


def _accuracy(row: Mapping[str, float], column: str) -> float:
    columns = [name for name in row if name != "index"]
    if column not in columns:
        raise UserError(f"Expected one of the columns {', '.join(columns)}. Received: {column!r}")
    return row[column]


def _texts(values: Sequence[float]) -> list[str]:
    return [f"{value:.4g}" for value in values]


def plain_text(text: str) -> str:
    """A text that Markdown shows as it stands, on one line: no markup, HTML or formula, no end of a table's cell.

    An underscore inside a word is no markup, and stays readable in a terminal.
    """
    line = " ".join(text.split())
    return re.sub(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", html.escape(line, quote=False))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
