"""The figure of a training: loss and accuracy over the epochs."""

from pathlib import Path

from matplotlib.figure import Figure

from tf_edd.analysis import palette
from tf_edd.analysis.figure_files import new_figure, save
from tf_edd.runtime.writing import writing

CURVES = ("curves.png", "curves.svg")
# The test line stays behind the others: nothing is chosen by it.
_LINES = {
    "train": {"linewidth": 1.6},
    "valid": {"linewidth": 2.0},
    "test": {"linewidth": 1.2, "linestyle": "--", "zorder": 1.5},
}


def draw_curves(history: list[dict], best_epoch: int | None = None, test: dict | None = None) -> Figure:
    """Loss and accuracy over the epochs on training images, held-out images if there are any, and test images.

    Args:
        history: One dict for each epoch with "epoch" and metrics such as "loss/train".
        best_epoch: Epoch of the network that held-out images have chosen; a vertical line.
        test: Metrics of that network on the test images, where no epoch has measured them; a point on the line.
    """
    figure = new_figure(10, 4, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    titles = {"loss": "A  loss (nats)", "accuracy": "B  accuracy"}
    for axes, (kind, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for part, line in _LINES.items():
            rows = [(row["epoch"], row[f"{kind}/{part}"]) for row in history if f"{kind}/{part}" in row]
            if rows:
                look = {**line, **palette.mark(len(rows)), "color": palette.PARTS[part]}
                axes.plot(*zip(*rows, strict=True), label=part, **look)
        if test:
            axes.axvline(best_epoch, color=palette.PARTS["valid"], linewidth=0.8, linestyle=":", zorder=1.2)
            point = {"color": palette.PARTS["test"], "linestyle": "none", "marker": "D", "markersize": 6}
            axes.plot([best_epoch], [test[f"{kind}/test"]], label=f"test, epoch {best_epoch}", **point)
        palette.style(axes, title)
        palette.epoch_axis(axes, max((row["epoch"] for row in history), default=1))
        handles, names = axes.get_legend_handles_labels()
        if handles:
            axes.legend(handles, names, frameon=False, fontsize=9)
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(palette.percent)
    return figure


def write_curves(history: list[dict], folder: Path, best_epoch: int | None = None, test: dict | None = None) -> None:
    """Writes `curves.png` and `curves.svg` into the folder, see `draw_curves`.

    Raises:
        UserError: It cannot be written.
    """
    figure = draw_curves(history, best_epoch, test)
    for name in CURVES:
        with writing(folder / name):
            save(figure, folder / name)
