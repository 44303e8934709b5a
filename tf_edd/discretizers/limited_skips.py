"""A discretizer that allows so many skip connections."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.discretizers.argmax import Argmax
from tf_edd.errors import UserError, require_count
from tf_edd.part import part
from tf_edd.spaces.space import Space

OUT = -1.0  # below every probability, also one that has underflowed to 0


@part(module="tf_edd.discretizers")
class LimitedSkips:
    """`Argmax`, but with at most `most` skip connections in the cells of one type.

    As long as there are more, the one with the smallest probability is taken out, and the cell is chosen anew from what
    is left: another operation of the same edge or, where a node keeps some of its edges, another edge may come in.

    Attributes:
        most: The largest number of skip connections.
        cell_type: The type of the cells; None for all types, each by itself.

    Raises:
        UserError: A negative number; from the call, a type that the space does not have, or an edge on which nothing
            else is left.

    Source: Chen et al., "Progressive Differentiable Architecture Search", ICCV 2019, arXiv 1904.12760, section 3.3;
    released code, `train_search.py` (normal cells; it prints the cell of each number from 8 to 0).
    """

    most: int = 2
    cell_type: str | None = "normal"

    operation: ClassVar[str] = "skip_connect"

    def __post_init__(self):
        require_count(0, most=self.most)

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        types = [cell.cell_type for cell in space.cells]
        if self.cell_type is not None and self.cell_type not in types:
            raise UserError(
                f"LimitedSkips.cell_type must be one of {', '.join(types)}, or None. Received: {self.cell_type!r}"
            )
        left = {cell_type: np.array(table, np.float64) for cell_type, table in probs.items()}
        genotype = Argmax()(left, space)
        for cell_type in types if self.cell_type is None else [self.cell_type]:
            while len(skips := self._skips(genotype, space, cell_type)) > self.most:
                edge, position = min(skips, key=lambda place: left[cell_type][place])
                if not self._others(space, cell_type, edge, left[cell_type][edge], position):
                    raise UserError(
                        f"LimitedSkips.most={self.most}: edge {edge} of cell {cell_type!r} has no other candidate"
                    )
                left[cell_type][edge, position] = OUT
                genotype = Argmax()(left, space)
        return genotype

    def _skips(self, genotype: Genotype, space: Space, cell_type: str) -> list[tuple[int, int]]:
        """Edge and position of each skip connection of the genotype."""
        chosen = np.asarray(genotype.one_hot(space)[cell_type])
        edges = space.cell(cell_type).edges
        return [(e, p) for e, p in np.argwhere(chosen > 0).tolist() if edges[e].primitives[p] == self.operation]

    def _others(self, space: Space, cell_type: str, edge: int, row: np.ndarray, position: int) -> bool:
        """Whether another candidate of the edge may take its place."""
        allowed = space.cell(cell_type).allowed[edge]
        return any(allow and row[i] > OUT for i, allow in enumerate(allowed) if i != position)
