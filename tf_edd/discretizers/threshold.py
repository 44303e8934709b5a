"""The discretizer of Fair-DARTS: edges that are not certain are left out."""

from collections.abc import Mapping

import numpy as np

from tf_edd.architectures.connected import live_nodes
from tf_edd.architectures.genotype import Genotype
from tf_edd.discretizers.argmax import Argmax
from tf_edd.discretizers.discretizer import checked_probs
from tf_edd.errors import UserError, require_positive, require_share
from tf_edd.part import part
from tf_edd.spaces.space import CellSpec, Space

LEFT_OUT = "none"


@part(module="tf_edd.discretizers")
class Threshold:
    """What `Argmax` chooses, where it is certain: `none` takes the place of an edge of a smaller weight.

    An edge that comes from a node which nothing of the image reaches is left out too. A node so has between no edge and
    all that it may keep, and a node without any is left out of the output of its cell.

    Attributes:
        threshold: The least weight of an operation that stays.

    Raises:
        UserError: A threshold outside (0, 1]; (from a call) a space whose edges cannot be `none`.

    Source: Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV 2020,
    arXiv 1911.12126; released code, xiaomi-automl/FairDARTS, `fairdarts/utils.py`, `threshold_sparse`.
    """

    threshold: float = 0.85

    def __post_init__(self):
        require_positive(threshold=self.threshold)
        require_share(threshold=self.threshold)

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        if refused := [cell.cell_type for cell in space.cells if not _may_leave_out(cell)]:
            raise UserError(
                "Threshold leaves edges out, which the space must allow (darts.optional_edges = True, or `none` among "
                f"the operations of every edge). Received: space {space.name!r}, cells {refused}"
            )
        chosen = Argmax()(probs, space)
        cells = tuple(
            (
                cell.cell_type,
                self._certain(chosen.nodes(cell.cell_type), checked_probs(probs, space, cell.cell_type), cell),
            )
            for cell in space.cells
        )
        return Genotype(space.name, cells).check(space)

    def _certain(self, nodes, table: np.ndarray, cell: CellSpec):
        """The nodes, with `none` on edges that are not certain and on those that nothing reaches."""
        weights = {
            (edge.source, edge.target, operation): table[row, column]
            for row, edge in enumerate(cell.edges)
            for column, operation in enumerate(edge.primitives)
        }
        certain = [
            tuple(
                (operation if weights[source, target, operation] >= self.threshold else LEFT_OUT, source)
                for operation, source in edges
            )
            for target, edges in zip(cell.intermediate_nodes, nodes, strict=True)
        ]
        live = {*range(cell.num_inputs), *live_nodes(certain, cell.num_inputs)}
        return tuple(
            tuple((operation if source in live else LEFT_OUT, source) for operation, source in edges)
            for edges in certain
        )


def _may_leave_out(cell: CellSpec) -> bool:
    named = (LEFT_OUT in edge.primitives and LEFT_OUT not in cell.excluded for edge in cell.edges)
    return cell.optional_edges or all(named)
