"""A space with the candidates that an earlier search found likely: the stages of a progressive search."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from tf_edd.errors import UserError, require_count
from tf_edd.part import checked
from tf_edd.runtime.local_folder import local_folder
from tf_edd.search.recorded import finished_space, recorded_probs
from tf_edd.spaces.space import CellSpec, Edge, Space


@checked(module="tf_edd")
def pruned_space(space: Space, searched: str | os.PathLike, *, keep: int, drop_first: Sequence[str] = ()) -> Space:
    """A space whose edges keep the candidates to which a finished search has given the largest probabilities.

    The candidates of an edge are those of the same edge in that search, in their order, without the least likely ones;
    so the lists of the edges differ. Of equally likely ones the first is kept. A search in this space has a new
    supernet and new logits: with a deeper skeleton at each stage this is P-DARTS' search.

    Args:
        space: Gives the macro skeleton and the cells; its candidates are replaced.
        searched: The model_dir of the finished search, in cells of the same nodes and edges.
        keep: Candidates that each edge keeps.
        drop_first: Candidates that are dropped before all others, such as `none` before the last stage.

    Returns:
        The space, under the name of `space`: a genotype of it is one of the whole space.

    Raises:
        UserError: No finished search, one that has not kept its probabilities, other cells, fewer candidates than
            `keep`, or a candidate to drop that no edge has.

    Source: Chen et al., "Progressive Differentiable Architecture Search", ICCV 2019, arXiv 1904.12760, section 3.2;
    released code, `train_search.py`.
    """
    require_count(keep=keep)
    folder = local_folder(searched) / "search"
    earlier, probs = finished_space(folder), recorded_probs(folder)
    _check_cells(space, earlier)
    cells = tuple(_pruned(space.cell(cell.cell_type), cell, probs, keep, drop_first) for cell in earlier.cells)
    known = {name for cell in earlier.cells for edge in cell.edges for name in edge.primitives}
    if unknown := [name for name in drop_first if name not in known]:
        raise UserError(
            f"drop_first must name candidates of the search in {searched}, some of {', '.join(sorted(known))}. "
            f"Received: drop_first={tuple(unknown)}"
        )
    return dataclasses.replace(space, cells=cells)


def _check_cells(space: Space, earlier: Space) -> None:
    """Raises UserError for cells of other nodes or edges."""
    shapes = [_shape(each) for each in (space, earlier)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"Expected a search in cells of the same types, nodes and edges as {space.name!r} has. Received: one in "
            f"{earlier.name!r} with {', '.join(f'{len(edges)} edges in {name!r}' for name, edges in shapes[1].items())}"
        )


def _shape(space: Space) -> dict[str, list]:
    return {cell.cell_type: [(edge.source, edge.target, edge.stride) for edge in cell.edges] for cell in space.cells}


def _pruned(cell: CellSpec, earlier: CellSpec, probs: Mapping, keep: int, drop_first: Sequence[str]) -> CellSpec:
    """The cell with the candidates that the earlier search leaves."""
    if keep > earlier.num_primitives:
        raise UserError(
            f"keep must be at most {earlier.num_primitives}, the candidates of an edge of cell {cell.cell_type!r}. "
            f"Received: keep={keep}"
        )
    rows = np.asarray(probs[cell.cell_type], np.float64)
    edges = tuple(
        dataclasses.replace(edge, primitives=_kept(old, row, keep, drop_first))
        for edge, old, row in zip(cell.edges, earlier.edges, rows, strict=True)
    )
    return dataclasses.replace(cell, edges=edges)


def _kept(edge: Edge, row: np.ndarray, keep: int, drop_first: Sequence[str]) -> tuple[str, ...]:
    """The likeliest candidates of an edge, in their order."""
    last = np.isin(edge.primitives, drop_first)
    order = np.lexsort((np.arange(len(row)), -row, last))[:keep]
    return tuple(edge.primitives[i] for i in sorted(order))
