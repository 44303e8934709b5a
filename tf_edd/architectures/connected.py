"""Cells through which nothing of the image passes, such as one of `none` alone."""

from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space


def dead_end(genotype: Genotype, space: Space) -> str | None:
    """The type of the first cell that leads nowhere, since every way from its input to its output passes `none`.

    Returns:
        None for a genotype that lets images through.
    """
    for cell in space.cells:
        reached = set(range(cell.num_inputs))
        for node, edges in zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True):
            if any(operation != "none" and source in reached for operation, source in edges):
                reached.add(node)
        ends = {cell.num_nodes - 1} if cell.output == "last" else set(cell.intermediate_nodes)
        if not cell.residual and not reached & ends:
            return cell.cell_type
    return None
