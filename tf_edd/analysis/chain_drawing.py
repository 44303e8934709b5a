"""Pictures of a network that is a chain of blocks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch
from matplotlib.path import Path

from tf_edd import operations
from tf_edd.analysis.drawing import LEGEND, WEAK_DASHES, draw_legend, is_weak
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.heat_maps import chain_table
from tf_edd.analysis.palette import BOX, FAINT, INK, MUTED, color, family, label
from tf_edd.architectures.genotype import Genotype
from tf_edd.networks import roles
from tf_edd.spaces.space import Block, Space

# Lengths in inches.
FIRST = 1.78  # from the left edge to the middle of the first box of a row, behind its title
STEP = 1.12  # from one box to the next
ROW = 0.66  # from one row to the next
HALF_WIDTH = 0.43
HALF_HEIGHTS = {3: 0.17, 6: 0.22}  # by the expansion of an operation; others as 6
FIXED = 0.15  # half the height of a block that is not searched, or that is left out
SHORTCUT = 0.31  # height of the arcs above the middle of a box
ABSENT = {"facecolor": "white", "edgecolor": FAINT, "linestyle": (0, (3, 2))}
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue


def draw_chain(genotype: Genotype, space: Space, probs: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Draws all blocks, a row for each stage: the color is the kernel, the height the expansion, arcs are shortcuts.

    Each row begins with the channels of its blocks and how much smaller their maps are than the image. Stages without a
    searched block share a row. A block that is left out is an empty dashed box. A block whose operation is below 50 %,
    or below twice the next probable one, has a dashed outline.

    Args:
        genotype: a genotype of `space`.
        space: a chain, see `Space.is_chain`.
        probs: cell type -> distribution [1, O]; if given, each block shows the probability of its operation.

    Raises:
        UserError: A genotype of another space.
    """
    genotype.check(space)
    rows = _rows(space)
    width = FIRST + STEP * (max(map(len, rows)) - 1) + HALF_WIDTH + 0.27
    height = ROW * len(rows) + 0.1
    weak = _weak_cells(genotype, space, probs)
    foot = 2 * LEGEND if weak else LEGEND
    figure = new_figure(width, height + foot)
    axes = figure.add_axes((0, foot / (height + foot), 1, height / (height + foot)))
    axes.set(xlim=(0, width), ylim=(-height + 0.6 * ROW, 0.6 * ROW))
    axes.axis("off")
    used = set()
    for number, row in enumerate(rows):
        _draw_title(axes, number, row)
        for place, (block, _) in enumerate(row):
            middle = (FIRST + STEP * place, -ROW * number)
            if block.role == "cell":
                operation = genotype.nodes(block.cell)[0][0][0]
                used.add(family(operation))
                text = label(operation) + _probability(probs, space, block.cell, operation)
                _draw_block(axes, middle, text, operation, space.cell(block.cell).residual, block.cell in weak)
            else:
                _draw_box(axes, middle, roles.find(block.role).label, FIXED, BOX, INK, INK)
            if place:
                axes.plot([middle[0] - STEP + HALF_WIDTH, middle[0] - HALF_WIDTH], [middle[1]] * 2, color=INK, lw=1.1)
        if number:
            _draw_turn(axes, number, len(rows[number - 1]))
    draw_legend(figure, used, bool(weak), ABSENT)
    return figure


def _weak_cells(genotype: Genotype, space: Space, probs: Mapping[str, np.ndarray] | None) -> set[str]:
    """The cells whose operation is undecided; none without probabilities."""
    found = set()
    for cell in space.cells if probs is not None else ():
        column = cell.edges[0].primitives.index(genotype.nodes(cell.cell_type)[0][0][0])
        if is_weak(np.asarray(chain_table(probs, space, cell.cell_type), np.float64), column):
            found.add(cell.cell_type)
    return found


def _rows(space: Space) -> list[list[tuple[Block, int]]]:
    """Blocks and the scales of their maps: a row for neighbors of equal width and size, or without any cell."""
    rows: list[list[tuple[Block, int]]] = []
    for block, wire in zip(space.blocks, space.wires, strict=True):
        scale = wire.scales[-1] * block.stride
        before = rows[-1][-1] if rows else None
        fixed = block.role != "cell"
        joins = before and (
            (fixed and before[0].role != "cell")
            or (not fixed and before[0].role == "cell" and (before[0].channels, before[1]) == (block.channels, scale))
        )
        if joins:
            rows[-1].append((block, scale))
        else:
            rows.append([(block, scale)])
    return rows


def _draw_title(axes, number: int, row: list[tuple[Block, int]]) -> None:
    """Channels and size of the blocks of a row; the classifier has neither."""
    stages = dict.fromkeys((block.channels, scale) for block, scale in row if block.role not in ("classifier", "head"))
    channels = dict.fromkeys(str(width) for width, _ in stages)
    scales = dict.fromkeys(f"1/{scale}" for _, scale in stages)
    settings = {"ha": "left", "fontsize": 9, "color": INK}
    axes.text(0.12, 0.02 - ROW * number, f"{', '.join(channels)} channels", va="bottom", **settings)
    axes.text(0.12, -0.02 - ROW * number, f"size {', '.join(scales)}", va="top", **{**settings, "color": MUTED})


def _draw_turn(axes, number: int, length: int) -> None:
    """The line from the end of the row before to the beginning of this one."""
    right, left = FIRST + STEP * (length - 1) + HALF_WIDTH, FIRST - HALF_WIDTH
    top, bottom = -ROW * (number - 1), -ROW * number
    middle, out = bottom + SHORTCUT + 0.035, 0.19
    corners = [(right, top), (right + out, top), (right + out, middle), (left - out, middle), (left - out, bottom)]
    axes.add_patch(PathPatch(Path(corners), facecolor="none", edgecolor=FAINT, linewidth=1.1, zorder=0))
    head = "-|>,head_length=4,head_width=2"
    ends = (left - out, bottom), (left, bottom)
    axes.add_patch(FancyArrowPatch(*ends, arrowstyle=head, shrinkA=0, shrinkB=0, color=FAINT, linewidth=1.1))


def _draw_block(axes, middle: tuple[float, float], text: str, operation: str, residual: bool, weak: bool) -> None:
    """A block of the genotype, with the arc of its shortcut; a block that is left out is an empty dashed box."""
    absent = operation == "none"
    height = FIXED if absent else HALF_HEIGHTS.get(operations.find(operation).expansion, HALF_HEIGHTS[6])
    face = ABSENT["facecolor"] if absent else color(operation)
    dashes = WEAK_DASHES if weak else ABSENT["linestyle"] if absent else "-"
    ink = MUTED if absent else INK if np.dot(to_rgb(face), LUMINANCE) > 0.5 else "white"
    _draw_box(axes, middle, text, height, face, ABSENT["edgecolor"] if absent else INK, ink, dashes)
    if residual:
        corner, (x, y) = 0.08, middle
        left, right, top = x - STEP / 2 + 0.03, x + STEP / 2 - 0.03, y + SHORTCUT
        points = [(left, y), (left, top - corner), (left, top), (left + corner, top)]
        points += [(right - corner, top), (right, top), (right, top - corner), (right, y)]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
        axes.add_patch(PathPatch(Path(points, codes), facecolor="none", edgecolor=INK, linewidth=1.1, zorder=0))
        axes.plot([left, x - HALF_WIDTH], [y, y], color=INK, lw=1.1, zorder=0)
        axes.plot([x + HALF_WIDTH, right], [y, y], color=INK, lw=1.1, zorder=0)


def _draw_box(axes, middle, text: str, half_height: float, face: str, edge: str, ink: str, dashes="-") -> None:
    patch = FancyBboxPatch(
        (middle[0] - HALF_WIDTH, middle[1] - half_height),
        2 * HALF_WIDTH,
        2 * half_height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=face,
        edgecolor=edge,
        linewidth=1.1,
        linestyle=dashes,
        zorder=3,
    )
    axes.add_patch(patch)
    settings = {"ha": "center", "va": "center", "fontsize": 9, "linespacing": 1.0}
    axes.text(*middle, text, color=ink, zorder=4, **settings)


def _probability(probs, space: Space, cell_type: str, operation: str) -> str:
    if probs is None:
        return ""
    table = chain_table(probs, space, cell_type)
    return f"\n{100 * table[space.cell(cell_type).edges[0].primitives.index(operation)]:.0f} %"
