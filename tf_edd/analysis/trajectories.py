"""Pictures of how a search went: Fig. 4 of the EDD-DARTS paper for one run."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tf_edd.analysis import palette
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.palette import FAINT, FIGURE_WIDTH, INK, color, family, label
from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS

History = Sequence[Mapping]

ENTROPY = "arch/entropy"
TEMPERATURE = "arch/temperature"
DISCRETIZED = "accuracy/discretized"
SUPERNET = "accuracy/valid"
TABLE = "table/cifar10_test"
EIGENVALUE = "sharpness/eigenvalue"
_OPERATION = re.compile(r"([A-Za-z0-9_]+)(?:~|', )\d+")  # `op~0` of NAS-Bench-201, `('op', 0)` of the DARTS family
_SHADES = ("", "////", "....", "xxxx")
_HEIGHTS = {"pooling": 1, "noise": 1, "skip": 2, "none": 3}  # of a family in the stack of bars


def draw_trajectories(history: History, num_operations: int = 5, table_tag: str = TABLE) -> Figure:
    """Draws one search: entropy and temperature, accuracies and chosen operations over the epochs.

    The panels are Fig. 4A (mean entropy of the edges, Eq. 13, with ln O, the entropy of no preference), Fig. 4B
    (accuracy of the supernet and of the discretized network on the validation split) and the number of edges
    that choose each operation. Tags that the history does not have are not drawn.

    Args:
        history: one flat dict for each finished epoch: "epoch", "genotype" (text) and tags.
        num_operations: O, for the line at ln O.
        table_tag: which accuracy of the table to draw beside (on its own axis: percent after full training).
    """
    figure = new_figure(FIGURE_WIDTH, 9.4, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    _draw_entropy(panels[0], history, num_operations)
    _draw_accuracy(panels[1], history, table_tag)
    _draw_operations(figure, panels[2], history)
    for axes in panels:
        palette.epoch_axis(axes, max((row["epoch"] for row in history), default=1))
    return figure


def collapse_counts(history: History) -> tuple[np.ndarray, np.ndarray]:
    """Epochs [n] and how many edges choose a skip connection, `none` or noise [n]."""
    epochs, counts = operation_counts(history)
    return epochs, sum((counts[name] for name in COLLAPSE_OPERATIONS if name in counts), np.zeros(len(epochs), int))


def series(history: History, tag: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs [n] and values [n] of a tag; epochs without it are left out."""
    rows = [(row["epoch"], row[tag]) for row in history if row.get(tag) is not None]
    values = np.array(rows, np.float64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def operation_counts(history: History) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Epochs [n] and, for each operation ever chosen, how many edges choose it [n], from the text of the genotypes."""
    rows = [(row["epoch"], _operations(row["genotype"])) for row in history if row.get("genotype")]
    names = sorted({name for _, chosen in rows for name in chosen}, key=_order)
    epochs = np.array([epoch for epoch, _ in rows], np.float64)
    return epochs, {name: np.array([chosen.count(name) for _, chosen in rows]) for name in names}


def _operations(text: str) -> list[str]:
    """The operations of a genotype's text in each of its three forms; that of a chain is a list of names."""
    return _OPERATION.findall(text) or re.findall(r"\w+", text)


def _order(operation: str) -> tuple[int, str]:
    """Convolutions at the bottom of the stack, operations that do nothing at the top, where a collapse shows."""
    return _HEIGHTS.get(family(operation), 0), operation


def _draw_entropy(axes, history: History, num_operations: int) -> None:
    epochs, values = series(history, ENTROPY)
    mark = palette.mark(len(epochs))
    axes.plot(epochs, values, color=palette.ENTROPY, linewidth=2, label="mean entropy", **mark)
    reference(axes, num_operations)
    palette.style(axes, "A  mean entropy of the edges (nats)")
    epochs, temperatures = series(history, TEMPERATURE)
    if not len(epochs):
        return
    twin = axes.twinx()
    tint = palette.TEMPERATURE
    twin.plot(epochs, temperatures, color=tint, linewidth=1.4, linestyle="--", label="temperature (right)", **mark)
    twin.set_yscale("log")
    palette.style(twin, None)
    twin.set_ylabel("temperature", color=INK)
    _legend(axes, twin)


def _draw_accuracy(axes, history: History, table_tag: str) -> None:
    lines = ((SUPERNET, "supernet", palette.SUPERNET), (DISCRETIZED, "discretized", palette.DISCRETIZED))
    for tag, name, tint in lines:
        epochs, values = series(history, tag)
        if len(epochs):
            axes.plot(epochs, values, color=tint, linewidth=2, label=name, **palette.mark(len(epochs)))
    axes.yaxis.set_major_formatter(palette.percent)
    headroom(axes)
    palette.style(axes, "B  accuracy, validation split")
    epochs, values = series(history, table_tag)
    twin = None
    if len(epochs):
        twin = axes.twinx()
        name = table_tag.removeprefix("table/").replace("_", " ")
        twin.plot(epochs, values, color=palette.TABLE, linewidth=1, linestyle=":", label=f"table: {name} (right)")
        twin.yaxis.set_major_formatter(lambda value, _: f"{value:.5g} %")
        palette.style(twin, None)
    _legend(axes, twin)


def _draw_operations(figure: Figure, axes, history: History) -> None:
    epochs, counts = operation_counts(history)
    base = np.zeros(len(epochs))
    drawn: list[str] = []
    for name, values in counts.items():
        # Two operations of one family share a color and differ in their hatching.
        hatch = _SHADES[sum(color(other) == color(name) for other in drawn) % len(_SHADES)]
        look = {"hatch": hatch, "edgecolor": "white", "lw": 0.6 if len(epochs) <= 60 else 0}
        axes.bar(epochs, values, 1.0, bottom=base, color=color(name), label=label(name), **look)
        base += values
        drawn.append(name)
    axes.yaxis.get_major_locator().set_params(integer=True)
    palette.style(axes, "C  edges that choose each operation")
    axes.grid(False)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        # Below the panel: beside it the names would narrow the other panels too.
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 5), frameon=False, fontsize=9)


def reference(axes, num_operations: int) -> None:
    """A line at ln O, the entropy of no preference, and an axis from 0."""
    bound = np.log(num_operations)
    axes.axhline(bound, color=FAINT, linewidth=1, zorder=0)
    across = axes.get_yaxis_transform()
    axes.text(0.99, bound, f"ln {num_operations}", transform=across, ha="right", va="bottom", fontsize=9, color=INK)
    axes.set_ylim(0, 1.15 * bound)


def headroom(axes) -> None:
    """Starts an accuracy axis at 0 and leaves room above the highest line."""
    axes.set_ylim(0, 1.08 * max((line.get_ydata().max() for line in axes.get_lines()), default=1.0))


def _legend(axes, twin=None) -> None:
    """One legend above the panel for the lines of both axes."""
    parts = [part.get_legend_handles_labels() for part in (axes, twin) if part is not None]
    handles, names = [sum(column, []) for column in zip(*parts, strict=True)]
    if handles:
        axes.legend(handles, names, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=9)
