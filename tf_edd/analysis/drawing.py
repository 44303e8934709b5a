"""Pictures of a cell and of the distribution over its operations, with matplotlib alone.

Figures are made with matplotlib's object-oriented interface: no window, no global state, safe in any thread.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from tf_edd import operations
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.runtime.files import TEMPORARY
from tf_edd.spaces.space import CellSpec, Space

INK = "#1f2933"
FAINT = "#b8c1cc"
OTHER = "#7f7f7f"
# Colors of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people with any color vision can tell apart. Other
# families of operations get `OTHER`.
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
FIGURE_WIDTH = 9.0
DPI = 100


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


@dataclasses.dataclass(frozen=True)
class _Arrow:
    """An edge to draw; `bend` is the height of its arc in units of the node distance, signed."""

    source: int
    target: int
    operation: str
    probability: float | None
    bend: float = 0.0


def draw_cell(genotype: Genotype, space: Space, cell_type: str, probs: np.ndarray | None = None) -> Figure:
    """Draws the cell of one type: nodes from left to right, edges colored by operation, `none` edges faint.

    Args:
        genotype: a genotype of `space`.
        space: gives the nodes and the order of the edges.
        cell_type: which cell.
        probs: [E, O] distribution over the operations; if given, edges show the probability of their operation, also as
            their width.

    Raises:
        UserError: A genotype of another space, probabilities of another shape, or an operation without a row.
    """
    genotype.check(space)
    cell = space.cell(cell_type)
    arrows = _bent(_arrows(genotype, cell, probs))
    heights = [arrow.bend for arrow in arrows] + [0.0]
    low, high = min(heights) - 0.34, max(heights) + 0.34
    units = len(_places(cell)) - 1
    width = max(FIGURE_WIDTH, _NODE_INCHES * (units + 0.6))
    scale = width / (units + 0.6)
    figure = Figure(figsize=(width, scale * (high - low) * _FLAT + 0.45), dpi=DPI, facecolor="white")
    box = _BOX_INCHES / scale
    FigureCanvasAgg(figure)
    height = figure.get_figheight()
    axes = figure.add_axes((0, 0.4 / height, 1, 1 - 0.4 / height))
    axes.set(xlim=(-0.3, units + 0.3), ylim=(low, high))
    axes.axis("off")
    for arrow in sorted(arrows, key=lambda arrow: arrow.operation != "none"):
        _draw_arrow(axes, arrow, box)
    for node, name in enumerate(_places(cell)):
        _draw_node(axes, node, name, box)
    draw_legend(figure, {family(arrow.operation) for arrow in arrows if arrow.operation})
    return figure


# Height of one unit of bend over the distance of two nodes: arcs drawn in proportion would waste space.
_FLAT = 0.62
_NODE_INCHES = 2.2  # least distance of neighbors: room for a box and the longest name of an operation
_BOX_INCHES = 0.325  # half the width of a box


def _places(cell: CellSpec) -> list[str]:
    """Names of the boxes from left to right; a concatenated output is one more box."""
    inputs = ["input"] if cell.num_inputs == 1 else [f"input {i + 1}" for i in range(cell.num_inputs)]
    inner = [str(node) for node in cell.intermediate_nodes]
    return [*inputs, *inner[:-1], "output"] if cell.output == "last" else [*inputs, *inner, "output"]


def _arrows(genotype: Genotype, cell: CellSpec, probs: np.ndarray | None) -> list[_Arrow]:
    if probs is not None and np.shape(probs) != (len(cell.edges), cell.num_primitives):
        raise UserError(
            f"Expected probabilities of shape {(len(cell.edges), cell.num_primitives)}. Received: {np.shape(probs)}"
        )
    places = {(edge.source, edge.target): i for i, edge in enumerate(cell.edges)}
    arrows = []
    for node, edges in zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True):
        for operation, source in edges:
            row = places[source, node]
            column = cell.edges[row].primitives.index(operation)
            probability = None if probs is None else float(probs[row][column])
            arrows.append(_Arrow(source, node, operation, probability))
    if cell.output == "concat":
        arrows.extend(_Arrow(node, cell.num_nodes, "", None) for node in cell.intermediate_nodes)
    return arrows


def _bent(arrows: list[_Arrow]) -> list[_Arrow]:
    """Gives each edge its own arc: straight between neighbors, longer ones alternately above and below, nested."""
    taken: dict[int, list[tuple[int, int, int]]] = {1: [], -1: []}
    bent = []
    for arrow in sorted(arrows, key=lambda arrow: (arrow.target - arrow.source, arrow.source)):
        if arrow.target - arrow.source == 1:
            bent.append(arrow)
            continue
        levels = {side: _free_level(arrow, taken[side]) for side in (1, -1)}
        side = min((1, -1), key=lambda side: (levels[side], len(taken[side])))
        taken[side].append((arrow.source, arrow.target, levels[side]))
        bent.append(dataclasses.replace(arrow, bend=side * (0.12 + 0.48 * levels[side])))
    return bent


def _free_level(arrow: _Arrow, taken: list[tuple[int, int, int]]) -> int:
    """The first level above every arc that shares a stretch with this one."""
    below = [level for source, target, level in taken if source < arrow.target and arrow.source < target]
    return max(below, default=0) + 1


def _draw_arrow(axes, arrow: _Arrow, box: float) -> None:
    faint = arrow.operation in ("none", "")
    tint = color(arrow.operation) if arrow.operation else FAINT
    width = 1.2 if faint else 2.2 if arrow.probability is None else 0.8 + 4.2 * arrow.probability
    patch = FancyArrowPatch(
        path=_curve(arrow, box),
        arrowstyle="-|>,head_length=7,head_width=3.5",
        mutation_scale=1,
        linewidth=width,
        linestyle=(0, (4, 3)) if faint else "-",
        color=tint,
        joinstyle="miter",
        zorder=1 if faint else 2,
    )
    axes.add_patch(patch)
    if arrow.operation:
        _draw_label(axes, arrow, tint, faint)


def _curve(arrow: _Arrow, box: float) -> Curve:
    """A straight line between neighbors, otherwise a cubic arc that leaves and enters the boxes on their edge."""
    start, stop = arrow.source, arrow.target
    if not arrow.bend:
        return Curve([(start + box, 0), (stop - box, 0)], [Curve.MOVETO, Curve.LINETO])
    # A cubic arc with both controls at height h tops out at 3/4 h (plus 1/4 of the height of its ends).
    edge = np.sign(arrow.bend) * 0.16
    control = (arrow.bend - edge / 4) * 4 / 3
    reach = 0.22 * (stop - start)
    leave, enter = start + 0.05, stop - 0.05
    points = [(leave, edge), (start + reach, control), (stop - reach, control), (enter, edge)]
    return Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])


def _draw_label(axes, arrow: _Arrow, tint: str, faint: bool) -> None:
    text = label(arrow.operation)
    if arrow.probability is not None:
        text += f"\n{arrow.probability:.2f}"
    axes.text(
        (arrow.source + arrow.target) / 2,
        arrow.bend,
        text,
        ha="center",
        va="center",
        fontsize=11,
        linespacing=1.1,
        color="#8a94a0" if faint else INK,
        zorder=4,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": tint, "linewidth": 1.0},
    )


def _draw_node(axes, place: int, name: str, box: float) -> None:
    patch = FancyBboxPatch(
        (place - box + 0.03, -0.12),
        2 * box - 0.06,
        0.24,
        boxstyle="round,pad=0.03,rounding_size=0.05",
        mutation_aspect=1 / _FLAT,
        facecolor="#eef2f7",
        edgecolor=INK,
        linewidth=1.3,
        zorder=5,
    )
    axes.add_patch(patch)
    axes.text(place, 0, name.replace(" ", "\n"), ha="center", va="center", fontsize=11, color=INK, zorder=6)


def draw_legend(figure: Figure, families: set[str]) -> None:
    """The colors of these families, in the order of `FAMILIES`."""
    names = [*(name for name in FAMILIES if name in families), *sorted(families - FAMILIES.keys())]
    handles = [Patch(color=FAMILIES.get(name, OTHER), label=name) for name in names]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=10, handlelength=1.2)


def draw_heat_map(probs: np.ndarray, cell: CellSpec) -> Figure:
    """Draws a distribution [E, O] as a grid of edges by operations, with its values.

    Raises:
        UserError: Probabilities of another shape.
    """
    probs = np.asarray(probs, np.float64)
    shape = (len(cell.edges), cell.num_primitives)
    if probs.shape != shape:
        raise UserError(f"Expected probabilities of shape {shape}. Received: {probs.shape}")
    figure = Figure(figsize=(2.0 + 1.1 * shape[1], 1.0 + 0.5 * shape[0]), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(probs, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(shape[1]), [label(name) for name in cell.edges[0].primitives], fontsize=10)
    axes.set_yticks(range(shape[0]), [f"{edge.source} → {edge.target}" for edge in cell.edges], fontsize=10)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    for row, column in np.ndindex(*shape):
        annotate(axes, probs[row, column], row, column, column == probs[row].argmax())
    figure.colorbar(picture, ax=axes, pad=0.02, label="probability").outline.set_visible(False)
    return figure


def annotate(axes, value: float, row: int, column: int, largest: bool, size: int = 10) -> None:
    """Writes a probability into its cell of a heat map."""
    axes.text(
        column,
        row,
        f"{value:.2f}",
        ha="center",
        va="center",
        fontsize=size,
        fontweight="bold" if largest else "normal",
        color="white" if value > 0.55 else INK,
    )


def to_image(figure: Figure) -> np.ndarray:
    """The picture of a figure, uint8 [H, W, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PNG or SVG, by the suffix; readers never see a partial file.

    Raises:
        UserError: Another suffix.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise UserError(f"Expected a file that ends in .png or .svg. Received: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        figure.savefig(temporary, format=path.suffix[1:])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
