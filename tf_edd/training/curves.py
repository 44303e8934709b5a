"""The figure of a training: loss and accuracy over the epochs."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_edd.analysis.drawing import save
from tf_edd.runtime.writing import writing

CURVES = "curves.png"
# Colors that people with any color vision can tell apart (Okabe and Ito).
_TINTS = {"train": "#0072b2", "valid": "#009e73", "test": "#d55e00"}


def draw_curves(history: list[dict]) -> Figure:
    """Loss and accuracy over the epochs on training images, held-out images if there are any, and test images.

    Args:
        history: One dict for each epoch with "epoch" and metrics such as "loss/train".
    """
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for axes, kind, title in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("loss (nats)", "accuracy"), strict=True):
        for part, tint in _TINTS.items():
            rows = [(row["epoch"], row[f"{kind}/{part}"]) for row in history if f"{kind}/{part}" in row]
            if rows:
                marker = "o" if len(rows) <= 30 else ""
                axes.plot(*zip(*rows, strict=True), color=tint, label=part, linewidth=2, marker=marker, markersize=3.5)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e8ed", linewidth=0.8)
        axes.legend(frameon=False)
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    return figure


def write_curves(history: list[dict], folder: Path) -> None:
    """Writes `curves.png` into the folder.

    Raises:
        UserError: It cannot be written.
    """
    with writing(folder / CURVES):
        save(draw_curves(history), folder / CURVES)
