"""The discretizer of DARTS: the strongest operation of each edge, and the strongest edges of each node."""

from collections.abc import Mapping

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.discretizers.discretizer import checked_probs
from tf_edd.part import part
from tf_edd.spaces.space import CellSpec, Space


@part(module="tf_edd.discretizers")
class Argmax:
    """The operation with the largest probability on each edge.

        o_e = argmax_o beta_eo         (Eq. 2)

    Primitives that the cell excludes are never chosen; the others are not renormalized. Where the cell sets
    `edges_per_node`, each node keeps that many incoming edges: those whose best operation has the largest probability.
    Ties go to the lower index, of operations and of edges.

    Source: https://github.com/quark0/darts, `cnn/model_search.py`, `genotype`.
    """

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        cells = tuple(
            (cell.cell_type, _nodes(checked_probs(probs, space, cell.cell_type), cell)) for cell in space.cells
        )
        return Genotype(space.name, cells).check(space)


def _nodes(table: np.ndarray, cell: CellSpec):
    """For each node the operations and sources of the edges that it keeps."""
    allowed = np.where(cell.allowed, table, -np.inf)
    choice, best = allowed.argmax(axis=1), allowed.max(axis=1)
    return tuple(
        tuple((cell.edges[i].primitives[choice[i]], cell.edges[i].source) for i in _kept_edges(best, cell, node))
        for node in cell.intermediate_nodes
    )


def _kept_edges(best: np.ndarray, cell: CellSpec, node: int) -> list[int]:
    """The incoming edges that stay, in the order of their indices: all, or the `edges_per_node` strongest."""
    strongest = sorted(cell.incoming(node), key=lambda edge: -best[edge])  # a stable sort: ties go to the lower edge
    return sorted(strongest[: cell.edges_per_node])
