"""Discretizers: from the probabilities of a search to a genotype."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import gin
import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space


class Discretizer(Protocol):
    """Chooses one architecture of a space."""

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        """The genotype for the probabilities [E, O] of each cell kind."""


def _checked(probs: Mapping[str, np.ndarray], space: Space, kind: str) -> np.ndarray:
    shape = space.logit_shapes[kind]
    if kind not in probs or np.shape(probs[kind]) != shape:
        received = np.shape(probs[kind]) if kind in probs else f"only the kinds {sorted(probs)}"
        raise UserError(f"Expected probabilities of shape {shape} for cell kind {kind!r}. Received: {received}")
    table = np.asarray(probs[kind], np.float64)
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).any(axis=1).sum())
        raise UserError(f"Expected finite probabilities for cell kind {kind!r}. Received: {bad} edges with NaN or inf")
    return table


def _allowed(table: np.ndarray, cell: CellSpec) -> np.ndarray:
    """The table with excluded primitives at -inf: they are never chosen, and the others are not renormalised."""
    excluded = [[primitive in cell.excluded for primitive in edge.primitives] for edge in cell.edges]
    return np.where(excluded, -np.inf, table)


def _kept_edges(best: np.ndarray, cell: CellSpec, node: int) -> list[int]:
    """The incoming edges that stay: all, or the `edges_per_node` strongest; in the order of their indices."""
    incoming = cell.incoming(node)
    strongest = sorted(incoming, key=lambda edge: -best[edge])  # a stable sort: ties go to the lower edge
    return sorted(strongest[: cell.edges_per_node])


def _cell(table: np.ndarray, cell: CellSpec):
    allowed = _allowed(table, cell)
    choice, best = allowed.argmax(axis=1), allowed.max(axis=1)
    return tuple(
        tuple((cell.edges[i].primitives[choice[i]], cell.edges[i].source) for i in _kept_edges(best, cell, node))
        for node in cell.intermediate_nodes
    )


@dataclasses.dataclass(frozen=True)
class Argmax:
    """The largest entry of each edge. See `argmax`."""

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        """The genotype for the probabilities [E, O] of each cell kind.

        Raises:
            UserError: a kind missing, a wrong shape, or probabilities that are not finite.
        """
        cells = tuple((cell.kind, _cell(_checked(probs, space, cell.kind), cell)) for cell in space.cells)
        return Genotype(space.name, cells).check(space)


@gin.configurable(module="tf_edd.discretizers.discretizers")
def argmax() -> Argmax:
    """Post-search pruning, Eq. 2: the operation with the largest probability on each edge.

    Primitives that the cell excludes are never chosen. Where the cell sets `edges_per_node`, each node keeps that many
    edges, those with the largest best probability. Ties go to the lower index, of operations and of edges.

    Source: https://github.com/quark0/darts, `cnn/model_search.py`, `genotype`.
    """
    return Argmax()
