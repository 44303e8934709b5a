"""Parameters, multiply-adds and activation memory, by arithmetic from the description of a space.

Nothing here builds a network, so the numbers check the networks that are built. Convention of NAS-Bench-201
(Dong and Yang, ICLR 2020): parameters count everything that is learned; FLOPs are the multiply-adds of convolutions
and of the linear layer with its bias, while batch norm, ReLU, pooling and additions cost nothing.

A new primitive is a line in `PRIMITIVES`, a new block of the macro skeleton one in `BLOCKS`.
"""

import dataclasses
from collections.abc import Callable

from tf_edd.errors import UserError
from tf_edd.genotype import Genotype
from tf_edd.spaces.space import Block, CellSpec, Space


@dataclasses.dataclass(frozen=True)
class Counts:
    """Sizes of a network (or a part): learned parameters and multiply-adds for one image."""

    parameters: int = 0
    multiply_adds: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


@dataclasses.dataclass(frozen=True)
class Maps:
    """A feature map: height, width and channels."""

    height: int
    width: int
    channels: int

    @property
    def pixels(self) -> int:
        """Positions of the map."""
        return self.height * self.width

    @property
    def values(self) -> int:
        """Numbers of the map for one image."""
        return self.pixels * self.channels

    def after(self, channels: int, stride: int = 1) -> "Maps":
        """The map behind an operation with "same" padding."""
        return Maps(-(-self.height // stride), -(-self.width // stride), channels)


def convolution(kernel: int, channels_in: int, out: Maps) -> Counts:
    """A dense convolution without bias: k^2 C_in C_out parameters, each used at every output position."""
    parameters = kernel**2 * channels_in * out.channels
    return Counts(parameters, parameters * out.pixels)


def batch_norm(channels: int, affine: bool = True) -> Counts:
    """Scale and offset, when affine; free of multiply-adds by the convention."""
    return Counts(2 * channels if affine else 0)


@dataclasses.dataclass(frozen=True)
class Primitive:
    """What a candidate operation costs.

    Attributes:
        counts: (channels in, output maps, batch norm affine) -> Counts.
        kept: maps of the output's size kept for the backward pass for this edge alone.
        shared: names of maps kept once for all the edges that leave a node, such as its ReLU.
    """

    counts: Callable[[int, Maps, bool], Counts]
    kept: int = 0
    shared: tuple[str, ...] = ()


def _free(channels_in: int, out: Maps, affine: bool) -> Counts:
    return Counts()


def _relu_conv_bn(kernel: int) -> Primitive:
    def counts(channels_in: int, out: Maps, affine: bool) -> Counts:
        return convolution(kernel, channels_in, out) + batch_norm(out.channels, affine)

    return Primitive(counts, kept=1, shared=("relu",))


PRIMITIVES: dict[str, Primitive] = {
    "none": Primitive(_free),
    "skip_connect": Primitive(_free, shared=("node",)),
    "nor_conv_1x1": _relu_conv_bn(1),
    "nor_conv_3x3": _relu_conv_bn(3),
    "avg_pool_3x3": Primitive(_free, shared=("avg_pool_3x3",)),
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """A block: its counts, the numbers kept for the backward pass for one image, and the maps it returns."""

    counts: Counts
    kept: int
    out: Maps


def _stem(block: Block, maps: Maps) -> Cost:
    out = maps.after(block.channels, block.stride)
    counts = convolution(3, maps.channels, out) + batch_norm(out.channels)
    return Cost(counts, maps.values + out.values, out)


def _reduction(block: Block, maps: Maps) -> Cost:
    """ReLU-conv3x3-BN twice, beside a 2x2 average pool and a 1x1 convolution without batch norm."""
    out = maps.after(block.channels, block.stride)
    main = convolution(3, maps.channels, out) + convolution(3, out.channels, out)
    norms = batch_norm(out.channels) + batch_norm(out.channels)
    shortcut = convolution(1, maps.channels, out)
    # ReLU of the input; first convolution, its ReLU, second convolution; the pooled shortcut.
    kept = maps.values + 3 * out.values + out.pixels * maps.channels
    return Cost(main + norms + shortcut, kept, out)


def _head(block: Block, maps: Maps) -> Cost:
    """Batch norm, ReLU and global average pooling; the linear layer is counted by `linear`."""
    return Cost(batch_norm(maps.channels), 2 * maps.values, maps)


BLOCKS: dict[str, Callable[[Block, Maps], Cost]] = {"stem": _stem, "reduction": _reduction, "head": _head}

# The operations of an edge, given (edge index): all candidates in a supernet, one in a final network.
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
        space: the space, which gives channels and depth.
        genotype: a cell of this space.
        image_shape: (height, width, channels) of the images.
        num_classes: outputs of the linear layer.
        linear_bias: whether the bias of the linear layer counts as multiply-adds, as in the benchmark's records.

    Raises:
        UserError: a genotype of another space, or an operation that has no cost here.
    """
    genotype.check(space)
    chosen = {cell.kind: _chosen(genotype, cell) for cell in space.cells}
    return _network(space, chosen, image_shape, num_classes, affine=True, linear_bias=linear_bias)


def count_supernet(
    space: Space, image_shape: tuple[int, int, int], num_classes: int, linear_bias: bool = True
) -> Counts:
    """Parameters and multiply-adds of the supernet: all candidates, the batch norms in cells not affine, no logits."""
    return _network(space, _all(space), image_shape, num_classes, affine=False, linear_bias=linear_bias)


def activation_memory(
    space: Space, image_shape: tuple[int, int, int], batch_size: int, bytes_per_value: int = 4
) -> int:
    """Bytes of activations that the supernet keeps for the backward pass; an estimate from the description.

    batch_size * bytes_per_value * sum over blocks of the numbers kept for one image, where a cell of maps H x W x C
    keeps H W C times [one for the output of each convolution (what batch norm reads), and for each node with outgoing
    edges one for its ReLU, one for its average pool and one for its value (what the gradient of the edge weights
    reads)]. On NAS-Bench-201 that is 12 + 3 * 3 = 21 maps a cell. Weights, gradients, workspaces of the kernels and
    the framework itself come on top.
    """
    maps = Maps(*image_shape)
    chosen = _all(space)
    kept = 0
    for block in space.blocks:
        cost = _block(block, maps, space, chosen, affine=False)
        kept, maps = kept + cost.kept, cost.out
    return kept * batch_size * bytes_per_value


def _network(space: Space, chosen: Chosen, image_shape, num_classes: int, affine: bool, linear_bias: bool) -> Counts:
    maps = Maps(*image_shape)
    total = Counts()
    for block in space.blocks:
        cost = _block(block, maps, space, chosen, affine)
        total, maps = total + cost.counts, cost.out
    weights = maps.channels * num_classes
    return total + Counts(weights + num_classes, weights + (num_classes if linear_bias else 0))


def _block(block: Block, maps: Maps, space: Space, chosen: Chosen, affine: bool) -> Cost:
    if block.role == "cell":
        return _cell(space.cell(block.cell), chosen[block.cell], maps.after(block.channels, block.stride), affine)
    if block.role not in BLOCKS:
        raise UserError(f"Expected a block of role {['cell', *BLOCKS]}. Received: {block.role!r}")
    return BLOCKS[block.role](block, maps)


def _cell(cell: CellSpec, chosen: dict[tuple[int, int], tuple[str, ...]], maps: Maps, affine: bool) -> Cost:
    edges = [(source, name) for (source, _), names in chosen.items() for name in names]
    counts = sum((_primitive(name).counts(maps.channels, maps, affine) for _, name in edges), Counts())
    own = sum(_primitive(name).kept for _, name in edges)
    shared = {(source, tensor) for source, name in edges for tensor in _primitive(name).shared}
    return Cost(counts, (own + len(shared)) * maps.values, maps)


def _primitive(name: str) -> Primitive:
    if name not in PRIMITIVES:
        raise UserError(f"Expected an operation of known cost: {sorted(PRIMITIVES)}. Received: {name!r}")
    return PRIMITIVES[name]


def _chosen(genotype: Genotype, cell: CellSpec) -> dict[tuple[int, int], tuple[str, ...]]:
    nodes = zip(cell.intermediate_nodes, genotype.nodes(cell.kind), strict=True)
    return {(source, node): (name,) for node, edges in nodes for name, source in edges}


def _all(space: Space) -> Chosen:
    return {cell.kind: {(e.source, e.target): e.primitives for e in cell.edges} for cell in space.cells}
