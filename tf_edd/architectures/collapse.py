"""Cells that have collapsed: operations without weights have taken most of their edges."""

from typing import NamedTuple

from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS, Genotype
from tf_edd.spaces.space import Space


class Overtaken(NamedTuple):
    """Edges that one operation without weights has taken.

    Attributes:
        operation: `skip_connect`, `none` or `noise`.
        cell_type: of which cells; None for all edges.
        taken: how many edges.
        edges: of so many.
    """

    operation: str
    cell_type: str | None
    taken: int
    edges: int

    def __str__(self):
        return f"{self.taken} of {self.edges} edges" + (f" of cell {self.cell_type!r}" if self.cell_type else "")


def overtaken(genotype: Genotype, space: Space, max_share: float) -> list[Overtaken]:
    """Where an operation without weights has more than `max_share` of the edges: of all, or of those of a cell type.

    The cell types of a chain are single edges, which are not judged alone.
    """
    cell_types = [cell_type for cell_type, _ in genotype.cells]
    judged = [None, *cell_types] if len(cell_types) > 1 and not space.is_chain else [None]
    shares = [
        Overtaken(operation, cell_type, genotype.count(operation, cell_type), len(genotype.operations(cell_type)))
        for operation in COLLAPSE_OPERATIONS
        for cell_type in judged
    ]
    return [share for share in shares if share.taken > max_share * share.edges]
