"""Pictures of the distribution over the operations."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tf_edd.analysis.cell_layout import edge_name
from tf_edd.analysis.figure_files import new_figure
from tf_edd.analysis.palette import INK, label
from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space


def draw_heat_map(probs: np.ndarray, cell: CellSpec, small: bool = False) -> Figure:
    """Draws a distribution [E, O] as a grid of edges by operations, with its values.

    Args:
        probs: [E, O].
        cell: gives the names of edges and operations.
        small: narrow and without a color bar, so that it is readable when it is shown small.

    Raises:
        UserError: Probabilities of another shape.
    """
    probs = np.asarray(probs, np.float64)
    shape = (len(cell.edges), cell.num_primitives)
    if probs.shape != shape:
        raise UserError(f"Expected probabilities of shape {shape}. Received: {probs.shape}")
    names = [edge_name(edge, cell) for edge in cell.edges]
    names = [" → ".join(f"${end}$" if "_" in end else end for end in name.split(" → ")) for name in names]
    size = (1.0 + 0.42 * shape[1], 0.8 + 0.3 * shape[0]) if small else (2.0 + 1.1 * shape[1], 1.0 + 0.5 * shape[0])
    figure = new_figure(*size, layout="constrained")
    axes = _draw_grid(figure, probs, not small)
    axes.set_xticks(range(shape[1]), [label(name) for name in cell.edges[0].primitives], fontsize=10)
    axes.set_yticks(range(shape[0]), names, fontsize=10)
    if small:
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
        axes.tick_params("x", rotation=40)
        for tick in axes.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    for row, column in np.ndindex(*shape):
        _annotate(axes, probs[row, column], row, column, column == probs[row].argmax(), 8 if small else 10)
    return figure


def draw_chain_heat_map(probs: Mapping[str, np.ndarray], space: Space, small: bool = False) -> Figure:
    """Draws the distributions of all blocks of a chain: one column per block, one row per operation.

    Operations that are no candidates of a block stay empty.

    Args:
        probs: cell type -> distribution [1, O].
        space: a chain.
        small: without values and color bar.

    Raises:
        UserError: Probabilities of another shape.
    """
    names = list(dict.fromkeys(name for cell in space.cells for name in cell.edges[0].primitives))
    grid = np.full((len(names), len(space.cells)), np.nan)
    for column, cell in enumerate(space.cells):
        rows = [names.index(name) for name in cell.edges[0].primitives]
        grid[rows, column] = chain_table(probs, space, cell.cell_type)
    blocks = grid.shape[1]
    size = (1.1 + 0.12 * blocks, 0.7 + 0.24 * len(names)) if small else (2.4 + 0.5 * blocks, 1.2 + 0.36 * len(names))
    figure = new_figure(*size, layout="constrained")
    axes = _draw_grid(figure, grid, not small)
    axes.set_yticks(range(len(names)), [label(name) for name in names], fontsize=10)
    shown = _sparse(blocks) if small else range(blocks)
    axes.set_xticks(shown, [str(column + 1) for column in shown], fontsize=10)
    axes.set_xlabel("block")
    if not small:
        for row, column in zip(*np.nonzero(np.isfinite(grid)), strict=True):
            _annotate(axes, grid[row, column], row, column, grid[row, column] == np.nanmax(grid[:, column]), 8)
    return figure


def chain_table(probs: Mapping[str, np.ndarray], space: Space, cell_type: str) -> np.ndarray:
    """The distribution [O] of one block of a chain.

    Raises:
        UserError: Probabilities of another shape.
    """
    expected, received = space.logit_shapes[cell_type], np.shape(probs.get(cell_type, ()))
    if received != expected:
        raise UserError(f"Expected probabilities of shape {expected} for cell type {cell_type!r}. Received: {received}")
    return np.asarray(probs[cell_type], np.float64)[0]


def _draw_grid(figure: Figure, grid: np.ndarray, color_bar: bool):
    axes = figure.add_subplot()
    picture = axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(np.arange(grid.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(grid.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if color_bar:
        figure.colorbar(picture, ax=axes, pad=0.02, label="probability").outline.set_visible(False)
    return axes


def _sparse(blocks: int) -> Sequence[int]:
    """Every fifth block."""
    return [0, *range(4, blocks, 5)]


def _annotate(axes, value: float, row: int, column: int, largest: bool, size: int) -> None:
    """Writes a probability into its cell."""
    settings = {"ha": "center", "va": "center", "fontsize": size, "fontweight": "bold" if largest else "normal"}
    axes.text(column, row, f"{value:.2f}", color="white" if value > 0.55 else INK, **settings)
