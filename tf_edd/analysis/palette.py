"""Colors, sizes and styles of all figures.

A color means one thing within one picture. A measure, and a family of operations, has its color in every picture; the
methods of a comparison take theirs by their order.
"""

from matplotlib.ticker import MaxNLocator

from tf_edd import operations

DPI = 100  # of what is shown on a screen
SAVED_DPI = 200  # of PNG files
FIGURE_WIDTH = 9.0  # inches

INK = "#1f2933"
MUTED = "#8a94a0"
FAINT = "#b8c1cc"
GRID = "#e4e8ed"
BOX = "#eef2f7"
# Colors of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any color vision can tell apart. The
# methods of a comparison, which stand side by side, take those of no measure first.
SUPERNET = "#0072b2"
DISCRETIZED = "#d55e00"
TABLE = INK
ENTROPY = INK
TEMPERATURE = "#e69f00"
PARTS = {"train": "#56b4e9", "valid": "#009e73", "test": MUTED}  # of the images, in a training
METHODS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#d55e00", "#0072b2")
# Other families of operations get `OTHER`.
OTHER = "#7f7f7f"
FAMILIES = {
    "none": FAINT,
    "skip": "#009e73",
    "pooling": "#e69f00",
    "convolution": "#0072b2",
    "convolution 1×1": "#56b4e9",
    "dilated convolution": "#cc79a7",
    "noise": "#d55e00",
    "MBConv 3×3": "#56b4e9",
    "MBConv 5×5": "#0072b2",
    "MBConv 7×7": "#cc79a7",
}


def label(operation: str) -> str:
    """A short readable name of an operation, `conv 3×3` for `nor_conv_3x3`, `MB6 5×5` for `mbconv_k5_e6`."""
    row = operations.PRIMITIVES.get(operation)
    return row.label if row else operation


def family(operation: str) -> str:
    """The family of an operation, which gives its color; "other" if this process does not know the operation.

    A report reads what a run has written, and that run may have had operations of its own.
    """
    row = operations.PRIMITIVES.get(operation)
    return row.family if row else "other"


def color(operation: str) -> str:
    """The color of an operation's family."""
    return FAMILIES.get(family(operation), OTHER)


def style(axes, title: str | None) -> None:
    """Title with the letter of the panel, a light grid, and no frame; None for the second axis of a panel."""
    axes.spines["top"].set_visible(False)
    axes.grid(visible=False)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, labelsize=9, length=0, labelbottom=True)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if title:
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines["right"].set_visible(False)
        axes.set_title(title, loc="left", fontsize=11, color=INK)


def epoch_axis(axes, last: int) -> None:
    """An axis of epochs from 1 on; the first and the last are labeled."""
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    inner = [tick for tick in axes.get_xticks() if 1 < tick < last - 0.04 * last]
    axes.set_xticks(sorted({1, *inner, last}))
    axes.set_xlabel("epoch", color=INK)


def mark(points: int) -> dict:
    """Markers where points are few, so that a single one shows too."""
    return {"marker": "o", "markersize": 3.5} if points <= 30 else {}


def percent(value: float, _=None) -> str:
    """A fraction as a label of an axis."""
    return f"{100 * value:.3g} %"
