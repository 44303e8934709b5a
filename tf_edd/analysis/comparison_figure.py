"""The picture of several searches side by side: Fig. 4 of the EDD-DARTS paper, and what came out in the end."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tf_edd.analysis import palette
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.trajectories import (
    DISCRETIZED,
    EIGENVALUE,
    ENTROPY,
    SUPERNET,
    TABLE,
    History,
    headroom,
    reference,
    series,
)

PANEL = 4.2  # inches


def compare(
    histories: Mapping[str, Sequence[History]],
    num_operations: int | None = None,
    ends: Mapping[str, Sequence[Mapping]] | None = None,
    table_tag: str = TABLE,
) -> Figure:
    """Draws Fig. 4 for several methods (mean over the seeds, single seeds faint) and the accuracies in the end.

    The panels are entropy (A), discretized accuracy (B), the accuracies after the last epoch of the supernet, of the
    discretized network and in a table of fully trained networks (C; a dot for each seed and a bar at their mean), and,
    where it was measured, the dominant eigenvalue of the Hessian of the validation loss (D).

    Args:
        histories: label -> one history for each seed.
        num_operations: O, for the line at ln O; None to take it from the probabilities in the histories.
        ends: label -> what panel C shows of each seed; None for the last epochs.
        table_tag: the accuracy of the table, in percent.
    """
    drawn: list[tuple[str, str]] = [
        (ENTROPY, "A  mean entropy of the edges (nats)"),
        (DISCRETIZED, "B  discretized accuracy, validation split"),
    ]
    if any(len(series(seed, EIGENVALUE)[0]) for seeds in histories.values() for seed in seeds):
        drawn.append((EIGENVALUE, "D  dominant eigenvalue, validation loss"))
    figure = new_figure(PANEL * (len(drawn) + 1), 4.0, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    panels = list(figure.subplots(1, len(drawn) + 1))
    last = max((row["epoch"] for seeds in histories.values() for seed in seeds for row in seed), default=1)
    ending = panels.pop(2)
    for axes, (tag, title) in zip(panels, drawn, strict=True):
        for name, tint in _tints(histories).items():
            _draw_seeds(axes, [series(seed, tag) for seed in histories[name]], name, tint)
        palette.style(axes, title)
        palette.epoch_axis(axes, last)
    operations = num_operations or most_operations(histories)
    if operations:
        reference(panels[0], operations)
    panels[1].yaxis.set_major_formatter(palette.percent)
    headroom(panels[1])
    _draw_ends(
        ending, ends or {name: [seed[-1] for seed in seeds if seed] for name, seeds in histories.items()}, table_tag
    )
    handles, names = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4), frameon=False)
    return figure


def _tints(labels) -> dict[str, str]:
    return {name: palette.METHODS[place % len(palette.METHODS)] for place, name in enumerate(labels)}


def most_operations(histories: Mapping[str, Sequence[History]]) -> int:
    """The largest number of candidates of an edge, by the probabilities in the histories; 0 where there are none."""
    rows = [row for seeds in histories.values() for seed in seeds for row in seed[:1]]
    return max((len(edge) for row in rows for table in row.get("probs", {}).values() for edge in table), default=0)


def mean_over_seeds(seeds: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs that all seeds have, and the mean over the seeds there."""
    common = sorted(set.intersection(*(set(epochs.tolist()) for epochs, _ in seeds)))
    values = [dict(zip(epochs.tolist(), values.tolist(), strict=True)) for epochs, values in seeds]
    return np.array(common), np.array([np.mean([seed[epoch] for seed in values]) for epoch in common])


def _draw_seeds(axes, seeds: list[tuple[np.ndarray, np.ndarray]], name: str, tint: str) -> None:
    seeds = [seed for seed in seeds if len(seed[0])]
    if not seeds:
        return
    if len(seeds) > 1:
        for epochs, values in seeds:
            axes.plot(epochs, values, color=tint, linewidth=0.9, alpha=0.35)
    epochs, mean = mean_over_seeds(seeds)
    count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
    axes.plot(epochs, mean, color=tint, linewidth=2.2, label=_literal(name) + count, **palette.mark(len(epochs)))


def _literal(name: str) -> str:
    """A label as it stands: matplotlib reads mathematics between `$` and hides what begins with an underscore."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def _draw_ends(axes, ends: Mapping[str, Sequence[Mapping]], table_tag: str) -> None:
    """A group of dots for each accuracy that is known, side by side for the methods, with their means as numbers."""
    kinds: dict[str, tuple[str, Callable]] = {
        SUPERNET: ("supernet", lambda value: 100 * value),
        DISCRETIZED: ("discretized", lambda value: 100 * value),
        table_tag: (f"table,\n{table_tag.removeprefix('table/').replace('_', ' ')}", float),
    }
    known = [tag for tag in kinds if any(tag in end for seeds in ends.values() for end in seeds)]
    step = 0.8 / max(len(ends), 1)
    for place, tag in enumerate(known):
        for number, (name, tint) in enumerate(_tints(ends).items()):
            values = [kinds[tag][1](end[tag]) for end in ends[name] if end.get(tag) is not None]
            if values:
                middle, mean = place + step * (number - (len(ends) - 1) / 2), float(np.mean(values))
                axes.plot([middle - 0.3 * step, middle + 0.3 * step], [mean, mean], color=tint, linewidth=2.2)
                axes.plot([middle] * len(values), values, "o", color=tint, markersize=4, alpha=0.6, markeredgewidth=0)
                settings = {"ha": "center", "va": "bottom", "fontsize": min(8, 60 / len(ends)), "color": palette.INK}
                rotation = 90 if len(ends) > 3 else 0
                axes.text(middle, max(values) + 1.5, f"{mean:.1f}", rotation=rotation, **settings)
    palette.style(axes, "C  accuracy after the last epoch")
    axes.set_xlim(-0.5, max(len(known), 1) - 0.5)
    axes.set_xticks(range(len(known)), [kinds[tag][0] for tag in known])
    axes.set_ylim(0, 108)
    axes.set_yticks(range(0, 101, 20))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
