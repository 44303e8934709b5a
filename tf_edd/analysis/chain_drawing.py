"""Pictures of a network that is a chain of blocks, and of the distribution over their operations."""

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from tf_edd import operations
from tf_edd.analysis.drawing import DPI, FAINT, INK, annotate, color, draw_legend, family, label
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.networks import roles
from tf_edd.spaces.space import Block, Space

INCHES = 0.52  # from one box to the next
HALF_WIDTH = 0.3  # of a box, in distances of two boxes
HALF_HEIGHTS = {3: 0.62, 6: 0.92}  # by the expansion of an operation; others as 6
LEFT_OUT = 0.48  # half the height of a block that is left out
SHORTCUT = 1.12  # height of the arcs
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue


def draw_chain(genotype: Genotype, space: Space, probs: Mapping[str, np.ndarray] | None = None) -> Figure:
    """Draws all blocks from left to right: the color is the kernel, the height the expansion, arcs are shortcuts.

    Below are the channels of each stage and how much smaller its maps are than the image.

    Args:
        genotype: a genotype of `space`.
        space: a chain, see `Space.is_chain`.
        probs: cell type -> distribution [1, O]; if given, the probability of its operation is written below each block.

    Raises:
        UserError: A genotype of another space.
    """
    genotype.check(space)
    blocks = space.blocks
    figure = Figure(figsize=(INCHES * (len(blocks) + 0.6), 2.75), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0.1, 1, 0.9))
    axes.set(xlim=(-0.8, len(blocks) - 0.2), ylim=(-2.0, 1.3))
    axes.axis("off")
    used = set()
    for place, block in enumerate(blocks):
        if block.role == "cell":
            operation = genotype.nodes(block.cell)[0][0][0]
            used.add(family(operation))
            _draw_block(axes, place, operation, space.cell(block.cell).residual)
            if probs is not None:
                _write_probability(axes, place, probs, space, block.cell, operation)
        else:
            _draw_box(axes, place, roles.find(block.role).label, 0.78, "#eef2f7", INK, INK)
        if place:
            axes.plot([place - 1 + HALF_WIDTH, place - HALF_WIDTH], [0, 0], color=INK, linewidth=1.1, zorder=1)
    _draw_stages(axes, space)
    draw_legend(figure, used)
    return figure


def _draw_block(axes, place: int, operation: str, residual: bool) -> None:
    """A block of the genotype, with the arc of its shortcut; a block that is left out is an empty dashed box."""
    absent = operation == "none"
    height = LEFT_OUT if absent else HALF_HEIGHTS.get(operations.find(operation).expansion, HALF_HEIGHTS[6])
    face = "white" if absent else color(operation)
    ink = "#8a94a0" if absent else INK if np.dot(to_rgb(face), LUMINANCE) > 0.5 else "white"
    _draw_box(axes, place, label(operation), height, face, FAINT if absent else INK, ink)
    if residual:
        left, right, corner = place - 0.42, place + 0.42, 0.14
        points = [(left, 0), (left, SHORTCUT - corner), (left, SHORTCUT), (left + corner, SHORTCUT)]
        points += [(right - corner, SHORTCUT), (right, SHORTCUT), (right, SHORTCUT - corner), (right, 0)]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
        axes.add_patch(PathPatch(Path(points, codes), facecolor="none", edgecolor=INK, linewidth=1.1, zorder=0))


def _draw_box(axes, place: int, text: str, half_height: float, face: str, edge: str, ink: str) -> None:
    patch = FancyBboxPatch(
        (place - HALF_WIDTH + 0.06, -half_height + 0.06),
        2 * HALF_WIDTH - 0.12,
        2 * half_height - 0.12,
        boxstyle="round,pad=0.06,rounding_size=0.1",
        facecolor=face,
        edgecolor=edge,
        linewidth=1.1,
        linestyle=(0, (3, 2)) if face == "white" else "-",
        zorder=3,
    )
    axes.add_patch(patch)
    axes.text(place, 0, text, rotation=90, ha="center", va="center", fontsize=10, color=ink, zorder=4)


def _write_probability(axes, place, probs, space: Space, cell_type: str, operation: str) -> None:
    table = _table(probs, space, cell_type)
    value = table[space.cell(cell_type).edges[0].primitives.index(operation)]
    axes.text(place, -1.06, f"{value:.2f}", ha="center", va="top", fontsize=8, color=INK)


def _draw_stages(axes, space: Space) -> None:
    """A line below neighbors of equal width and size, with both numbers; below the classifier what they are."""
    end = len(space.blocks) - 1
    axes.text(end, -1.52, "channels", ha="center", va="top", fontsize=9, color=INK)
    axes.text(end, -1.78, "size", ha="center", va="top", fontsize=8, color="#8a94a0")
    for first, last, block, scale in _stages(space):
        axes.plot([first - 0.38, last + 0.38], [-1.42, -1.42], color=FAINT, linewidth=2, solid_capstyle="butt")
        axes.text((first + last) / 2, -1.52, f"{block.channels}", ha="center", va="top", fontsize=9, color=INK)
        axes.text((first + last) / 2, -1.78, f"1/{scale}", ha="center", va="top", fontsize=8, color="#8a94a0")


def _stages(space: Space) -> list[tuple[int, int, Block, int]]:
    """First and last place, block and scale of neighbors with equal width and size, without the classifier."""
    stages = []
    for place, (block, wire) in enumerate(zip(space.blocks[:-1], space.wires, strict=False)):
        scale = wire.scales[-1] * block.stride
        if stages and (stages[-1][2].channels, stages[-1][3]) == (block.channels, scale):
            stages[-1] = (stages[-1][0], place, block, scale)
        else:
            stages.append((place, place, block, scale))
    return stages


def draw_chain_heat_map(probs: Mapping[str, np.ndarray], space: Space) -> Figure:
    """Draws the distributions of all blocks: one column per block, one row per operation.

    Operations that are no candidates of a block stay empty.

    Raises:
        UserError: Probabilities of another shape.
    """
    names = list(dict.fromkeys(name for cell in space.cells for name in cell.edges[0].primitives))
    grid = np.full((len(names), len(space.cells)), np.nan)
    for column, cell in enumerate(space.cells):
        rows = [names.index(name) for name in cell.edges[0].primitives]
        grid[rows, column] = _table(probs, space, cell.cell_type)
    figure = Figure(figsize=(2.4 + 0.5 * grid.shape[1], 1.2 + 0.36 * len(names)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(names)), [label(name) for name in names], fontsize=10)
    axes.set_xticks(range(grid.shape[1]), [str(column + 1) for column in range(grid.shape[1])], fontsize=10)
    axes.set_xlabel("block")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(np.isfinite(grid)), strict=True):
        annotate(axes, grid[row, column], row, column, grid[row, column] == np.nanmax(grid[:, column]), size=8)
    figure.colorbar(picture, ax=axes, pad=0.01, label="probability").outline.set_visible(False)
    return figure


def _table(probs, space: Space, cell_type: str) -> np.ndarray:
    """The distribution [O] of one block."""
    expected, received = space.logit_shapes[cell_type], np.shape(probs.get(cell_type, ()))
    if received != expected:
        raise UserError(f"Expected probabilities of shape {expected} for cell type {cell_type!r}. Received: {received}")
    return np.asarray(probs[cell_type], np.float64)[0]
