"""Pictures of a cell, with matplotlib alone."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from tf_edd.analysis import palette
from tf_edd.analysis.cell_layout import LYING, UPRIGHT, UPRIGHT_DENSE, Arrow, Layout, Point, node_names
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.palette import FAINT, FAMILIES, INK, MUTED, OTHER, color, family, label
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space

LEGEND = 0.3  # inches of a row
WEAK = "undecided: below 50 % or twice the next"
CERTAIN = 0.5  # a less probable operation is weak
WEAK_DASHES = (0, (2.5, 1.2))


def draw_cell(
    genotype: Genotype, space: Space, cell_type: str, probs: np.ndarray | None = None, upright: bool = False
) -> Figure:
    """Draws the cell of one type: nodes, and edges colored by operation; `none` edges are faint.

    An edge whose operation is below 50 %, or below twice the next probable one, is dashed and pale. A shaded band joins
    the nodes whose outputs are concatenated.

    Args:
        genotype: a genotype of `space`.
        space: gives the nodes and the order of the edges.
        cell_type: which cell.
        probs: [E, O] distribution over the operations; if given, edges show the probability of their operation, also as
            their width.
        upright: from top to bottom and without a legend: about square, readable when it is shown small.

    Raises:
        UserError: A genotype of another space, probabilities of another shape, or an operation without a row.
    """
    genotype.check(space)
    cell = space.cell(cell_type)
    measures = LYING if not upright else UPRIGHT if cell.num_inputs == 1 else UPRIGHT_DENSE
    layout = Layout(cell, _arrows(genotype, cell, probs), measures)
    (first, last), (low, high) = layout.extent
    foot = 0.0 if upright else 2 * LEGEND if any(arrow.weak for arrow in layout.arrows) else LEGEND
    width, height = (high - low, last - first) if upright else (last - first, high - low)
    figure = new_figure(width, height + foot)
    axes = figure.add_axes((0, foot / (height + foot), 1, height / (height + foot)))
    axes.set(xlim=(-high, -low) if upright else (first, last), ylim=(-last, -first) if upright else (low, high))
    axes.axis("off")
    if cell.output == "concat":
        _draw_band(axes, layout, cell)
    for arrow in sorted(layout.arrows, key=lambda arrow: arrow.operation != "none"):
        _draw_arrow(axes, layout, arrow)
    for box, name in zip(layout.boxes, node_names(cell), strict=True):
        _draw_node(axes, layout, box, name)
    if not upright:
        draw_legend(
            figure, {family(arrow.operation) for arrow in layout.arrows}, any(arrow.weak for arrow in layout.arrows)
        )
    return figure


def _arrows(genotype: Genotype, cell: CellSpec, probs: np.ndarray | None) -> list[Arrow]:
    if probs is not None and np.shape(probs) != (len(cell.edges), cell.num_primitives):
        raise UserError(
            f"Expected probabilities of shape {(len(cell.edges), cell.num_primitives)}. Received: {np.shape(probs)}"
        )
    places = {(edge.source, edge.target): i for i, edge in enumerate(cell.edges)}
    arrows = []
    for node, edges in zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True):
        for operation, source in edges:
            row = places[source, node]
            if cell.leaves_out(row, operation):
                arrows.append(Arrow(source, node, operation, None, False))
                continue
            column = cell.edges[row].primitives.index(operation)
            table = None if probs is None else np.asarray(probs[row], np.float64)
            probability = None if table is None else float(table[column])
            arrows.append(Arrow(source, node, operation, probability, table is not None and is_weak(table, column)))
    return arrows


def is_weak(table: np.ndarray, column: int) -> bool:
    """Whether an operation is less probable than 50 %, or than twice the next one."""
    others = np.delete(table, column)
    return bool(table[column] < CERTAIN or (len(others) and table[column] < 2 * others.max()))


def _on_page(layout: Layout, points: Sequence[Point]) -> list[Point]:
    """(along, across) -> (x, y)."""
    return [(-across, -along) if layout.measures.upright else (along, across) for along, across in points]


def _draw_band(axes, layout: Layout, cell: CellSpec) -> None:
    """Shades the intermediate nodes, and leads from there to the output: their outputs are concatenated."""
    pad, half = 0.09, layout.measures.box
    first, last, output = (layout.boxes[node][0] for node in (cell.num_inputs, cell.num_nodes - 1, cell.num_nodes))
    corners = [(first - half[0] - pad, -half[1] - pad), (last + half[0] + pad, half[1] + pad)]
    (left, y), (right, other) = _on_page(layout, corners)
    x, width, bottom, height = min(left, right), abs(right - left), min(y, other), abs(other - y)
    shape = {"boxstyle": "round,pad=0,rounding_size=0.12", "facecolor": "#f6f8fa", "edgecolor": FAINT}
    axes.add_patch(FancyBboxPatch((x, bottom), width, height, linewidth=0.8, zorder=0, **shape))
    start, stop = _on_page(layout, [(last + half[0] + pad, 0.0), (output - half[0], 0.0)])
    head = "-|>,head_length=6,head_width=3"
    axes.add_patch(FancyArrowPatch(start, stop, arrowstyle=head, shrinkA=0, shrinkB=0, color=FAINT, linewidth=1.2))


def _draw_arrow(axes, layout: Layout, arrow: Arrow) -> None:
    absent = arrow.operation == "none"
    tint = color(arrow.operation)
    width = 1.2 if absent else 2.2 if arrow.probability is None else 0.8 + 4.2 * arrow.probability
    patch = FancyArrowPatch(
        path=_curve(layout, arrow),
        arrowstyle="-|>,head_length=7,head_width=3.5",
        mutation_scale=1,
        linewidth=width,
        linestyle=(0, (4, 3)) if absent else WEAK_DASHES if arrow.weak else "-",
        color=tint,
        alpha=0.55 if arrow.weak and not absent else None,
        joinstyle="miter",
        zorder=1 if absent else 2,
    )
    axes.add_patch(patch)
    _draw_label(axes, layout, arrow, tint)


def _curve(layout: Layout, arrow: Arrow) -> Curve:
    """A straight line between neighbors, otherwise a cubic arc that leaves and enters the boxes on their edge."""
    points = _on_page(layout, layout.curve(arrow))
    return Curve(points, [Curve.MOVETO, *([Curve.LINETO] if len(points) == 2 else [Curve.CURVE4] * 3)])


def _draw_label(axes, layout: Layout, arrow: Arrow, tint: str) -> None:
    text = label(arrow.operation)
    if arrow.probability is not None:
        text += f"\n{100 * arrow.probability:.0f} %"
    faint = arrow.weak or arrow.operation == "none"
    frame = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": tint, "linewidth": 1.0}
    if arrow.weak:
        frame["linestyle"] = WEAK_DASHES
    ((x, y),) = _on_page(layout, [layout.labels[arrow]])
    settings = {"ha": "center", "va": "center", "fontsize": 11, "linespacing": 1.1, "zorder": 4}
    axes.text(x, y, text, color=MUTED if faint else INK, bbox=frame, **settings)


def _draw_node(axes, layout: Layout, box: Point, name: str) -> None:
    half = layout.measures.box
    ((x, y),) = _on_page(layout, [box])
    wide, high = (half[1], half[0]) if layout.measures.upright else half
    shape = {"boxstyle": "round,pad=0,rounding_size=0.07", "facecolor": palette.BOX, "edgecolor": INK}
    axes.add_patch(FancyBboxPatch((x - wide, y - high), 2 * wide, 2 * high, linewidth=1.3, zorder=5, **shape))
    text = f"${name}$" if "_" in name else name
    axes.text(x, y, text, ha="center", va="center", fontsize=11, color=INK, zorder=6)


def draw_legend(figure: Figure, families: set[str], weak: bool = False, none: dict | None = None) -> None:
    """The colors of these families, in the order of `FAMILIES`, and what a dashed edge is.

    Args:
        figure: The picture, with one or two rows of `LEGEND` at its foot.
        families: Those that it shows.
        weak: Whether it shows an undecided edge.
        none: How it shows `none`, as settings of a patch; None for the color alone.
    """
    names = [*(name for name in FAMILIES if name in families), *sorted(families - FAMILIES.keys())]
    shown = {name: {"color": FAMILIES.get(name, OTHER)} for name in names}
    if none and "none" in shown:
        shown["none"] = none
    rows = [[Patch(label=name, **settings) for name, settings in shown.items()]]
    if weak:
        rows.insert(0, [Line2D([], [], color=OTHER, linestyle=WEAK_DASHES, linewidth=2, label=WEAK)])
    height = figure.get_figheight()
    for place, handles in enumerate(rows):
        middle = (len(rows) - place - 0.5) * LEGEND / height if len(rows) > 1 else 0.5 * LEGEND / height
        settings = {"ncols": len(handles), "frameon": False, "fontsize": 10, "handlelength": 1.2, "borderaxespad": 0}
        figure.legend(handles=handles, loc="center", bbox_to_anchor=(0.5, middle), **settings)
