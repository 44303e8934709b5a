"""Pictures of how a search went: Fig. 4 of the EDD-DARTS paper, for one run and for several methods and seeds."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_edd.analysis.drawing import DPI, FAINT, FIGURE_WIDTH, INK, color, family, label
from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS

History = Sequence[Mapping]

ENTROPY = "arch/entropy"
TEMPERATURE = "arch/temperature"
DISCRETIZED = "accuracy/discretized"
SUPERNET = "accuracy/valid"
TABLE = "table/cifar10_test"
EIGENVALUE = "sharpness/eigenvalue"
_OPERATION = re.compile(r"([A-Za-z0-9_]+)(?:~|', )\d+")  # `op~0` of NAS-Bench-201, `('op', 0)` of the DARTS family
# Okabe and Ito's palette: colors that people with any color vision can tell apart.
PALETTE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2933")
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
    figure = Figure(figsize=(FIGURE_WIDTH, 8.6), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    _draw_entropy(top, history, num_operations)
    _draw_accuracy(middle, history, table_tag)
    _draw_operations(bottom, history)
    _style_epochs(bottom, [history])
    return figure


def compare(histories: Mapping[str, Sequence[History]], num_operations: int | None = None) -> Figure:
    """Draws Fig. 4 for several methods (mean over the seeds, single seeds faint) and whether a search collapses.

    The panels are entropy (A), discretized accuracy (B), the number of edges that choose a skip connection, `none` or
    noise (C), and, where it was measured, the dominant eigenvalue of the Hessian of the validation loss (D).

    Args:
        histories: label -> one history for each seed.
        num_operations: O, for the line at ln O; None to take it from the probabilities in the histories.
    """
    drawn = [
        (lambda seed: series(seed, ENTROPY), "A  mean entropy of the edges (nats)"),
        (lambda seed: series(seed, DISCRETIZED), "B  discretized accuracy, validation split"),
        (collapse_counts, "C  edges that choose skip, none or noise"),
    ]
    if any(len(series(seed, EIGENVALUE)[0]) for seeds in histories.values() for seed in seeds):
        drawn.append((lambda seed: series(seed, EIGENVALUE), "D  dominant eigenvalue, validation loss"))
    width = FIGURE_WIDTH * 1.4 * len(drawn) / 3
    figure = Figure(figsize=(width, 4.0), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(drawn))
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    for axes, (read, title) in zip(panels, drawn, strict=True):
        for place, (name, seeds) in enumerate(histories.items()):
            _draw_seeds(axes, [read(seed) for seed in seeds], name, PALETTE[place % len(PALETTE)])
        _style(axes, title)
        _style_epochs(axes, [seed for seeds in histories.values() for seed in seeds])
    operations = num_operations or most_operations(histories)
    if operations:
        _reference(panels[0], operations)
    panels[1].yaxis.set_major_formatter(_percent)
    _headroom(panels[1])
    panels[2].set_ylim(bottom=-0.1)
    panels[2].yaxis.get_major_locator().set_params(integer=True)
    handles, names = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4), frameon=False)
    return figure


def most_operations(histories: Mapping[str, Sequence[History]]) -> int:
    """The largest number of candidates of an edge, by the probabilities in the histories; 0 where there are none."""
    rows = [row for seeds in histories.values() for seed in seeds for row in seed[:1]]
    return max((len(edge) for row in rows for table in row.get("probs", {}).values() for edge in table), default=0)


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
    axes.plot(epochs, values, color=PALETTE[0], linewidth=2, label="mean entropy", **_mark(epochs))
    _reference(axes, num_operations)
    _style(axes, "A  mean entropy of the edges (nats)")
    epochs, temperatures = series(history, TEMPERATURE)
    if not len(epochs):
        return
    twin = axes.twinx()
    twin.plot(
        epochs,
        temperatures,
        color=PALETTE[1],
        linewidth=1.4,
        linestyle="--",
        label="temperature (right)",
        **_mark(epochs),
    )
    twin.set_yscale("log")
    _style(twin, None)
    twin.grid(False)
    twin.set_ylabel("temperature", color=PALETTE[1])
    _legend(axes, twin)


def _draw_accuracy(axes, history: History, table_tag: str) -> None:
    for tag, name, tint in ((SUPERNET, "supernet", PALETTE[1]), (DISCRETIZED, "discretized", PALETTE[0])):
        epochs, values = series(history, tag)
        if len(epochs):
            axes.plot(epochs, values, color=tint, linewidth=2, label=name, **_mark(epochs))
    axes.yaxis.set_major_formatter(_percent)
    _headroom(axes)
    _style(axes, "B  accuracy, validation split")
    epochs, values = series(history, table_tag)
    twin = None
    if len(epochs):
        twin = axes.twinx()
        name = table_tag.removeprefix("table/").replace("_", " ")
        twin.plot(epochs, values, color=INK, linewidth=1, linestyle=":", label=f"table: {name} (right)")
        twin.yaxis.set_major_formatter(lambda value, _: f"{value:.5g} %")
        _style(twin, None)
        twin.grid(False)
    _legend(axes, twin)


def _draw_operations(axes, history: History) -> None:
    epochs, counts = operation_counts(history)
    base = np.zeros(len(epochs))
    drawn: list[str] = []
    for name, values in counts.items():
        # Two operations of one family share a color and differ in their hatching.
        hatch = _SHADES[sum(color(other) == color(name) for other in drawn) % len(_SHADES)]
        axes.bar(
            epochs,
            values,
            1.0,
            bottom=base,
            color=color(name),
            label=label(name),
            hatch=hatch,
            edgecolor="white",
            lw=0.6 if len(epochs) <= 60 else 0,
        )
        base += values
        drawn.append(name)
    axes.yaxis.get_major_locator().set_params(integer=True)
    _style(axes, "C  edges that choose each operation")
    axes.grid(False)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)


def _draw_seeds(axes, seeds: list[tuple[np.ndarray, np.ndarray]], name: str, tint: str) -> None:
    seeds = [seed for seed in seeds if len(seed[0])]
    if not seeds:
        return
    if len(seeds) > 1:
        for epochs, values in seeds:
            axes.plot(epochs, values, color=tint, linewidth=0.9, alpha=0.35)
    epochs, mean = mean_over_seeds(seeds)
    count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
    axes.plot(epochs, mean, color=tint, linewidth=2.2, label=name + count, **_mark(epochs))


def mean_over_seeds(seeds: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs that all seeds have, and the mean over the seeds there."""
    common = sorted(set.intersection(*(set(epochs.tolist()) for epochs, _ in seeds)))
    values = [dict(zip(epochs.tolist(), values.tolist(), strict=True)) for epochs, values in seeds]
    return np.array(common), np.array([np.mean([seed[epoch] for seed in values]) for epoch in common])


def _reference(axes, num_operations: int) -> None:
    bound = np.log(num_operations)
    axes.axhline(bound, color=FAINT, linewidth=1, zorder=0)
    across = axes.get_yaxis_transform()
    axes.text(0.99, bound, f"ln {num_operations}", transform=across, ha="right", va="bottom", fontsize=9, color=INK)
    axes.set_ylim(0, 1.15 * bound)


def _headroom(axes) -> None:
    """Starts an accuracy axis at 0 and leaves room above the highest line."""
    axes.set_ylim(0, 1.08 * max((line.get_ydata().max() for line in axes.get_lines()), default=1.0))


def _style_epochs(axes, histories: Sequence[History]) -> None:
    last = max((row["epoch"] for history in histories for row in history), default=1)
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch")


def _mark(epochs: np.ndarray) -> dict:
    """Markers where epochs are few, so that a single point shows too."""
    return {"marker": "o", "markersize": 3.5} if len(epochs) <= 30 else {}


def _percent(value: float, _) -> str:
    return f"{100 * value:.3g} %"


def _style(axes, title: str | None) -> None:
    axes.spines["top"].set_visible(False)
    axes.grid(color="#e4e8ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if title:
        axes.spines["right"].set_visible(False)
        axes.set_title(title, loc="left", fontsize=11, color=INK)


def _legend(axes, twin=None) -> None:
    """One legend above the panel for the lines of both axes."""
    parts = [part.get_legend_handles_labels() for part in (axes, twin) if part is not None]
    handles, names = [sum(column, []) for column in zip(*parts, strict=True)]
    if handles:
        axes.legend(handles, names, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=9)
