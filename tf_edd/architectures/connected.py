"""Cells through which nothing of the image passes, such as one of `none` alone."""

from collections.abc import Sequence

from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space


def live_nodes(nodes: Sequence[Sequence[tuple]], num_inputs: int) -> list[int]:
    """The intermediate nodes that something of the inputs reaches, by an edge that is not `none` from a live node.

    Args:
        nodes: for each intermediate node its incoming edges, each beginning with operation and source.
        num_inputs: the nodes before them, which are live.
    """
    live = list(range(num_inputs))
    for node, edges in enumerate(nodes, start=num_inputs):
        if any(operation != "none" and source in live for operation, source, *_ in edges):
            live.append(node)
    return live[num_inputs:]


def dead_end(genotype: Genotype, space: Space) -> str | None:
    """The type of the first cell that leads nowhere, since every way from its input to its output passes `none`.

    Returns:
        None for a genotype that lets images through.
    """
    for cell in space.cells:
        reached = set(live_nodes(genotype.nodes(cell.cell_type), cell.num_inputs))
        ends = {cell.num_nodes - 1} if cell.output == "last" else set(cell.intermediate_nodes)
        if not cell.residual and not reached & ends:
            return cell.cell_type
    return None
