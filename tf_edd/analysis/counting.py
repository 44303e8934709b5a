"""Parameters, multiply-adds and activation memory, by arithmetic from the description of a space.

Nothing here builds a network, so the numbers check the networks that are built. Convention of NAS-Bench-201
(Dong and Yang, ICLR 2020): parameters are everything that is learned; FLOPs are the multiply-adds of convolutions and
of the linear layer with its bias, while batch norm, ReLU, pooling and additions cost nothing.

Operations and blocks bring their costs: `operations.PRIMITIVES`, `networks.roles.ROLES`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_edd import operations
from tf_edd.architectures.connected import live_nodes
from tf_edd.architectures.genotype import Genotype
from tf_edd.networks import roles
from tf_edd.networks.costs import BlockCost
from tf_edd.operations.costs import Counts, Maps, batch_norm, convolution
from tf_edd.spaces.space import Block, CellSpec, Space

if TYPE_CHECKING:  # edge parts load TensorFlow, and counts do without
    from tf_edd.networks.edge_part import EdgePart

# The operations of an edge, given (source, target): all candidates in a supernet, one in a final network.
Chosen = dict[str, dict[tuple[int, int], tuple[str, ...]]]


def count(
    space: Space,
    genotype: Genotype,
    image_shape: tuple[int, int, int],
    num_classes: int,
    linear_bias: bool = True,
) -> Counts:
    """Parameters and multiply-adds of the final network of a genotype (all batch norms affine).

    Args:
        space: gives channels and depth.
        genotype: a genotype of this space.
        image_shape: (height, width, channels) of the images.
        num_classes: number of outputs of the linear layer.
        linear_bias: whether the bias of the linear layer counts as multiply-adds, as in the benchmark's records.

    Raises:
        UserError: A genotype of another space, or an operation without a row in the table.
    """
    genotype.check(space)
    chosen = {cell.cell_type: _chosen(genotype, cell) for cell in space.cells}
    return _network(space, chosen, image_shape, num_classes, affine=True, linear_bias=linear_bias)


def count_supernet(
    space: Space,
    image_shape: tuple[int, int, int],
    num_classes: int,
    linear_bias: bool = True,
    affine: bool = False,
    edges: Sequence["EdgePart"] = (),
) -> Counts:
    """Parameters and multiply-adds of the supernet: all candidates, and what `edges` puts around them, no logits.

    `affine` counts the batch norms in cells as if they had scale and offset: those of this package's supernets have
    none, those of some released codes do.
    """
    return _network(space, _all(space), image_shape, num_classes, affine, linear_bias, edges)


def activation_memory(
    space: Space,
    image_shape: tuple[int, int, int],
    batch_size: int,
    bytes_per_value: int = 4,
    edges: Sequence["EdgePart"] = (),
) -> int:
    """Bytes of activations that the supernet keeps for the backward pass; an estimate from the description.

    batch_size * bytes_per_value * sum over blocks of the values kept for one image. A cell of maps H x W x C keeps
    H W C times what its operations' costs say: for each edge the outputs of its convolutions (what batch norm reads),
    and for each node with outgoing edges its ReLU, its pooled maps and its value (what the gradient of the edge weights
    reads). On NAS-Bench-201 that is 12 + 3 * 3 = 21 maps per cell. Weights, gradients, workspaces of the kernels and
    the framework itself come on top.
    """
    costs = _costs(space, _all(space), image_shape, affine=False, around=edges)
    return sum(cost.kept for cost in costs) * batch_size * bytes_per_value


def _network(
    space: Space, chosen: Chosen, image_shape, num_classes: int, affine: bool, linear_bias: bool, around=()
) -> Counts:
    costs = _costs(space, chosen, image_shape, affine, around)
    weights = costs[-1].out.channels * num_classes
    linear = Counts(weights + num_classes, weights + (num_classes if linear_bias else 0))
    return sum((cost.counts for cost in costs), linear)


def _costs(space: Space, chosen: Chosen, image_shape, affine: bool, around=()) -> list[BlockCost]:
    """The cost of each block, side branches left out."""
    outputs, costs = {-1: Maps(*image_shape)}, []
    for index, (block, wire) in enumerate(zip(space.blocks, space.wires, strict=True)):
        if block.auxiliary:
            continue
        inputs = [outputs[source] for source in wire.sources]
        if block.role == "cell":
            cost = _cell(space.cell(block.cell), chosen[block.cell], block, inputs, affine, around)
        else:
            cost = roles.find(block.role).cost(block, inputs[0])
        outputs[index] = cost.out
        costs.append(cost)
    return costs


def _cell(cell: CellSpec, chosen, block: Block, inputs: list[Maps], affine: bool, around=()) -> BlockCost:
    """The candidates of all edges with what is around them, and what the inputs pass first."""
    # Preprocessing brings the inputs to the width of the cell and to the size of the last input.
    start = inputs[-1].after(block.channels) if cell.preprocess else inputs[-1]
    out = start.after(block.channels, block.stride)
    strides = {(edge.source, edge.target): edge.stride for edge in cell.edges}
    edges = [
        (pair[0], operations.find(name).cost.at(strides[pair]), share)
        for pair, names in chosen.items()
        for name, share in _surrounded(names, around)
    ]
    read = {source: start if source < cell.num_inputs else out for source, _, _ in edges}
    counts, kept = Counts(), 0
    for source, cost, share in edges:
        maps = read[source].part(share), out.part(share)
        counts += cost.counts(*maps, affine)
        kept += cost.kept * maps[1].values + cost.inner(*maps)
    for source, shared, share in {(source, shared, share) for source, cost, share in edges for shared in cost.shared}:
        maps = (out if shared.halved else read[source]).part(share)
        kept += maps.values * (2 if cell.pool_norm and shared.pooled else 1)  # pooled, and normalized
    if cell.preprocess:  # ReLU, 1x1 convolution (a factorized reduction has as many parameters), batch norm
        for maps in inputs:
            counts += convolution(1, maps.channels, start) + batch_norm(start.channels, affine)
            kept += maps.values + start.values
    copies = _copies(cell, chosen) if cell.output == "concat" else 1
    return BlockCost(counts, kept, Maps(out.height, out.width, out.channels * copies))


def _copies(cell: CellSpec, chosen) -> int:
    """Nodes side by side in the output: all, or with optional edges those that something reaches, if there are any."""
    if not cell.optional_edges:
        return len(cell.intermediate_nodes)
    nodes = [
        [(name, source) for (source, target), names in chosen.items() if target == node for name in names]
        for node in cell.intermediate_nodes
    ]
    return len(live_nodes(nodes, cell.num_inputs) or cell.intermediate_nodes)


def _surrounded(names: Sequence[str], around: Sequence["EdgePart"]) -> list[tuple[str, int]]:
    """The operations of an edge, each with n where it runs on one n-th of the channels."""
    result = [(name, 1) for name in names]
    for part in around:
        result = part.operations(result)
    return result


def _chosen(genotype: Genotype, cell: CellSpec) -> dict[tuple[int, int], tuple[str, ...]]:
    nodes = zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True)
    return {(source, node): (name,) for node, edges in nodes for name, source in edges}


def _all(space: Space) -> Chosen:
    return {cell.cell_type: {(e.source, e.target): e.primitives for e in cell.edges} for cell in space.cells}
