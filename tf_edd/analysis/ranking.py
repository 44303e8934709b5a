"""Does a supernet rank cells as full training does? Kendall's tau over a fixed sample of NAS-Bench-201, and a figure.

`ranking_cells.json` beside this file holds 200 cells, drawn once, uniformly from all 15,625 and without repetition
(disconnected ones included, as in the rankings that PA&DA reports over all cells); its order is random, so that the
first n are a uniform sample too.
"""

import dataclasses
import functools
import json
import numbers
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.stats
from matplotlib.figure import Figure

from tf_edd.analysis import palette
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.palette import FIGURE_WIDTH, INK
from tf_edd.errors import UserError

CELLS = Path(__file__).with_name("ranking_cells.json")
LEAST_CELLS = 10  # an interval from fewer says nothing


@dataclasses.dataclass(frozen=True)
class Tau:
    """Kendall's tau-b and its confidence interval.

    Attributes:
        tau: (C - D) / sqrt((C + D + X)(C + D + Y)) with the numbers of concordant pairs C, discordant ones D, and of
            pairs that are tied in the first (X) or the second (Y) value alone.
        low: lower end of the interval.
        high: upper end of the interval.
        confidence: of the interval.
        cells: the number of pairs of values.
    """

    tau: float
    low: float
    high: float
    confidence: float
    cells: int

    def __str__(self):
        return f"{self.tau:.3f} ({self.confidence:.0%} interval {self.low:.3f} to {self.high:.3f}, {self.cells} cells)"


@functools.cache
def ranking_cells() -> tuple[str, ...]:
    """The cells of the sample, as text."""
    return tuple(entry["cell"] for entry in json.loads(CELLS.read_text(encoding="utf-8"))["cells"])


def kendall_tau(
    inherited: Sequence[float],
    measured: Sequence[float],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Tau:
    """Rank correlation of two values of the same cells.

    The interval is the bias-corrected and accelerated bootstrap of SciPy: cells are drawn with replacement, both
    values of a cell together. A cell drawn twice is tied with itself in both, which tau-b leaves out.

    Args:
        inherited: accuracy of each cell with the weights of the supernet.
        measured: accuracy of each cell after training by itself.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of them.

    Raises:
        UserError: unequal numbers, fewer than `LEAST_CELLS`, values that are all equal, or no confidence level.
    """
    check_confidence(confidence)
    first, second = np.asarray(inherited, float), np.asarray(measured, float)
    if first.shape != second.shape or first.ndim != 1 or len(first) < LEAST_CELLS:
        raise UserError(
            f"A ranking needs two values of each of at least {LEAST_CELLS} cells. Received: {first.shape} and "
            f"{second.shape}"
        )
    for name, values in (("inherited", first), ("measured", second)):
        if np.ptp(values) == 0:
            raise UserError(f"A ranking needs accuracies that differ. Received: {name} accuracies all {values[0]:g}")
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)  # all resamples alike; see below
        result = scipy.stats.bootstrap(
            (first, second),
            _tau,
            paired=True,
            vectorized=False,
            n_resamples=resamples,
            confidence_level=confidence,
            random_state=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    if not np.isfinite([low, high]).all():  # all resamples alike, as where both orders are the same
        low, high = np.nanquantile(result.bootstrap_distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Tau(_tau(first, second), float(low), float(high), confidence, len(first))


def check_confidence(confidence: float) -> None:
    """Raises UserError unless it lies between 0 and 1."""
    if not isinstance(confidence, numbers.Real) or not 0 < confidence < 1:
        raise UserError(f"confidence must lie between 0 and 1. Received: confidence={confidence!r}")


def _tau(first, second) -> float:
    # Its p-value is not used, and the exact one takes most of the time.
    return float(scipy.stats.kendalltau(first, second, method="asymptotic").statistic)


def draw_ranking(
    inherited: Sequence[float], measured: Sequence[float], tau: Tau, parameters: Sequence[int], column: str
) -> Figure:
    """Draws accuracy against accuracy, and rank against rank, one point per cell.

    Args:
        inherited: fractions.
        measured: percent.
        tau: of these.
        parameters: of the network of each cell at the size of the supernet's, for the color.
        column: what `measured` is.
    """
    figure = new_figure(FIGURE_WIDTH * 1.2, 4.8, layout="constrained")
    panels = figure.subplots(1, 2)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    tint = {"c": np.asarray(parameters) / 1e6, "cmap": "viridis_r", "s": 30, "alpha": 0.85, "linewidths": 0}
    panels[0].scatter(np.asarray(inherited) * 100, measured, **tint)
    left_out = _zoom(panels[0], np.asarray(measured, float))
    ranks = [scipy.stats.rankdata(values) for values in (inherited, measured)]
    points = panels[1].scatter(*ranks, **tint)
    panels[1].axline((1, 1), slope=1, color=INK, linewidth=0.8, linestyle=":")
    name = column.replace("_", " ")
    _style(panels[0], "A  accuracy" + left_out, "with inherited weights (%)", f"{name}, trained by itself (%)")
    _style(panels[1], "B  rank", "rank with inherited weights", f"rank by {name}")
    figure.suptitle(f"Kendall's tau {tau}", x=0.01, ha="left", fontsize=11, color=INK)
    figure.colorbar(points, ax=panels, pad=0.02, label="parameters (millions)").outline.set_visible(False)
    return figure


def _zoom(axes, measured: np.ndarray) -> str:
    """Ends the axis above a few cells that are far below all others, as those that cannot learn; says how many."""
    low, high = np.quantile(measured, [0.05, 1.0])
    bottom = low - max(high - low, 1e-9) / 2
    hidden = int((measured < bottom).sum())
    if not hidden:
        return ""
    axes.set_ylim(bottom, high + (high - bottom) * 0.05)
    for place in axes.collections[0].get_offsets()[measured < bottom]:
        mark = {"marker": "v", "color": INK, "markersize": 5, "clip_on": False, "linestyle": ""}
        axes.plot(place[0], bottom, zorder=3, **mark)
    return f" ({hidden} below the axis: triangles)"


def _style(axes, title: str, x: str, y: str) -> None:
    palette.style(axes, title)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
