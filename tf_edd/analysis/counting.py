"""Parameters, multiply-adds and activation memory, by arithmetic from the description of a space.

Nothing here builds a network, so the numbers check the networks that are built. Convention of NAS-Bench-201
(Dong and Yang, ICLR 2020): parameters count everything that is learned; FLOPs are the multiply-adds of convolutions
and of the linear layer with its bias, while batch norm, ReLU, pooling and additions cost nothing.

A new primitive is a line in `PRIMITIVES`, a new block of the macro skeleton one in `BLOCKS`.
"""

import dataclasses
from collections.abc import Callable

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
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


def depthwise(kernel: int, out: Maps) -> Counts:
    """A depthwise convolution without bias: k^2 C parameters."""
    parameters = kernel**2 * out.channels
    return Counts(parameters, parameters * out.pixels)


def batch_norm(channels: int, affine: bool = True) -> Counts:
    """Scale and offset, when affine; free of multiply-adds by the convention."""
    return Counts(2 * channels if affine else 0)


@dataclasses.dataclass(frozen=True)
class Primitive:
    """What a candidate operation costs.

    Attributes:
        counts: (input maps, output maps, batch norm affine) -> Counts.
        kept: maps of the output's size kept for the backward pass for this edge alone.
        inner: (input maps, output maps) -> numbers kept besides, in maps of other sizes.
        shared: names of maps kept once for all the edges that leave a node, such as its ReLU.
        strided: the same with stride 2, where it differs.
    """

    counts: Callable[[Maps, Maps, bool], Counts]
    kept: int = 0
    shared: tuple[str, ...] = ()
    inner: Callable[[Maps, Maps], int] = lambda source, out: 0
    strided: "Primitive | None" = None

    def at(self, stride: int) -> "Primitive":
        """The operation at this stride."""
        return self.strided if stride > 1 and self.strided else self


def _free(source: Maps, out: Maps, affine: bool) -> Counts:
    return Counts()


def _relu_conv_bn(kernel: int) -> Primitive:
    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        return convolution(kernel, source.channels, out) + batch_norm(out.channels, affine)

    return Primitive(counts, kept=1, shared=("relu",))


def _separable(kernel: int, channels_in: int, out: Maps, affine: bool) -> Counts:
    """Depthwise and pointwise convolution and batch norm."""
    inner = depthwise(kernel, Maps(out.height, out.width, channels_in))
    return inner + convolution(1, channels_in, out) + batch_norm(out.channels, affine)


def _sep_conv(kernel: int) -> Primitive:
    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        inner = Maps(out.height, out.width, source.channels)
        return _separable(kernel, source.channels, inner, affine) + _separable(kernel, source.channels, out, affine)

    return Primitive(counts, kept=5, shared=("relu",))  # what each convolution returns, and the ReLU between


def _dil_conv(kernel: int) -> Primitive:
    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        return _separable(kernel, source.channels, out, affine)

    # The two convolutions, and the input rearranged for the dilation; with stride 2 the even pixels are shared.
    return Primitive(counts, 3, ("relu",), strided=Primitive(counts, 2, ("relu_even",)))


def _factorized_reduce(source: Maps, out: Maps, affine: bool) -> Counts:
    """Two 1x1 convolutions with half of the channels each, and batch norm."""
    return convolution(1, source.channels, out) + batch_norm(out.channels, affine)


def _pool(name: str) -> Primitive:
    """Pooled maps and, behind a batch norm, the normalised ones."""
    return Primitive(_free, 0, (name,), strided=Primitive(_free, 0, (f"{name}_stride_2",)))


def _mbconv(kernel: int, expansion: int) -> Primitive:
    def widened(source: Maps, out: Maps) -> tuple[Maps, Maps]:
        """The maps before and behind the depthwise convolution."""
        width = source.channels * expansion
        return Maps(source.height, source.width, width), Maps(out.height, out.width, width)

    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        before, behind = widened(source, out)
        expand = convolution(1, source.channels, before) + batch_norm(before.channels, affine)
        inner = depthwise(kernel, behind) + batch_norm(behind.channels, affine)
        project = convolution(1, behind.channels, out) + batch_norm(out.channels, affine)
        return (expand if expansion > 1 else Counts()) + inner + project

    def inner(source: Maps, out: Maps) -> int:
        """What the first two convolutions return, and their ReLU6."""
        before, behind = widened(source, out)
        return (2 * before.values if expansion > 1 else 0) + 2 * behind.values

    return Primitive(counts, 1, ("node",), inner)


PRIMITIVES: dict[str, Primitive] = {
    "none": Primitive(_free),
    "skip_connect": Primitive(_free, 0, ("node",), strided=Primitive(_factorized_reduce, 1, ("relu",))),
    "nor_conv_1x1": _relu_conv_bn(1),
    "nor_conv_3x3": _relu_conv_bn(3),
    "avg_pool_3x3": _pool("avg_pool_3x3"),
    "max_pool_3x3": _pool("max_pool_3x3"),
    "sep_conv_3x3": _sep_conv(3),
    "sep_conv_5x5": _sep_conv(5),
    "dil_conv_3x3": _dil_conv(3),
    "dil_conv_5x5": _dil_conv(5),
    "mbconv_k3_e3": _mbconv(3, 3),
    "mbconv_k3_e6": _mbconv(3, 6),
    "mbconv_k5_e3": _mbconv(5, 3),
    "mbconv_k5_e6": _mbconv(5, 6),
    "mbconv_k7_e3": _mbconv(7, 3),
    "mbconv_k7_e6": _mbconv(7, 6),
    "noise": Primitive(_free, 1),
}


# Shared maps of the size behind a stride of 2.
HALVED = ("relu_even", "avg_pool_3x3_stride_2", "max_pool_3x3_stride_2")


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


def _stem_quarter(block: Block, maps: Maps) -> Cost:
    """Convolution 3x3 of stride 2 with half of the channels, BN, ReLU, another one with all, BN."""
    middle = maps.after(block.channels // 2, 2)
    out = middle.after(block.channels, 2)
    counts = convolution(3, maps.channels, middle) + convolution(3, middle.channels, out)
    norms = batch_norm(middle.channels) + batch_norm(out.channels)
    return Cost(counts + norms, maps.values + 2 * middle.values + out.values, out)


def _mobile_stem(block: Block, maps: Maps) -> Cost:
    """A stem and its ReLU6."""
    cost = _stem(block, maps)
    return dataclasses.replace(cost, kept=cost.kept + cost.out.values)


def _mobile_first(block: Block, maps: Maps) -> Cost:
    """The fixed bottleneck that does not expand; ReLU6 of the stem is kept there."""
    out, primitive = maps.after(block.channels, block.stride), _mbconv(3, 1)
    return Cost(primitive.counts(maps, out, True), primitive.inner(maps, out) + out.values, out)


def _mobile_head(block: Block, maps: Maps) -> Cost:
    """Convolution 1x1, BN, ReLU6."""
    out = maps.after(block.channels)
    counts = convolution(1, maps.channels, out) + batch_norm(out.channels)
    return Cost(counts, maps.values + 2 * out.values, out)


def _classifier(block: Block, maps: Maps) -> Cost:
    """Global average pooling; the linear layer is counted by `linear`."""
    return Cost(Counts(), 0, maps)


BLOCKS: dict[str, Callable[[Block, Maps], Cost]] = {
    "stem": _stem,
    "stem_quarter": _stem_quarter,
    "stem_eighth": _stem,
    "mobile_stem": _mobile_stem,
    "mobile_first": _mobile_first,
    "mobile_head": _mobile_head,
    "reduction": _reduction,
    "head": _head,
    "classifier": _classifier,
}

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
    space: Space,
    image_shape: tuple[int, int, int],
    num_classes: int,
    linear_bias: bool = True,
    affine: bool = False,
) -> Counts:
    """Parameters and multiply-adds of the supernet: all candidates, no logits.

    `affine` counts the batch norms in cells as if they had scale and offset: those of this package's supernets have
    none, some released codes do.
    """
    return _network(space, _all(space), image_shape, num_classes, affine, linear_bias)


def activation_memory(
    space: Space, image_shape: tuple[int, int, int], batch_size: int, bytes_per_value: int = 4
) -> int:
    """Bytes of activations that the supernet keeps for the backward pass; an estimate from the description.

    batch_size * bytes_per_value * sum over blocks of the numbers kept for one image, where a cell of maps H x W x C
    keeps H W C times [what `PRIMITIVES` says: for each edge the outputs of its convolutions (what batch norm reads),
    and for each node with outgoing edges its ReLU, its pooled maps and its value (what the gradient of the edge weights
    reads)]. On NAS-Bench-201 that is 12 + 3 * 3 = 21 maps a cell. Weights, gradients, workspaces of the kernels and
    the framework itself come on top.
    """
    costs = _costs(space, _all(space), image_shape, affine=False)
    return sum(cost.kept for cost in costs) * batch_size * bytes_per_value


def _network(space: Space, chosen: Chosen, image_shape, num_classes: int, affine: bool, linear_bias: bool) -> Counts:
    costs = _costs(space, chosen, image_shape, affine)
    weights = costs[-1].out.channels * num_classes
    linear = Counts(weights + num_classes, weights + (num_classes if linear_bias else 0))
    return sum((cost.counts for cost in costs), linear)


def _costs(space: Space, chosen: Chosen, image_shape, affine: bool) -> list[Cost]:
    """The cost of each block, side branches left out."""
    outputs, costs = {-1: Maps(*image_shape)}, []
    for index, (block, wire) in enumerate(zip(space.blocks, space.wires, strict=True)):
        if block.auxiliary:
            continue
        inputs = [outputs[source] for source in wire.sources]
        if block.role == "cell":
            cost = _cell(space.cell(block.cell), chosen[block.cell], block, inputs, affine)
        elif block.role in BLOCKS:
            cost = BLOCKS[block.role](block, inputs[0])
        else:
            raise UserError(f"Expected a block of role {['cell', *BLOCKS]}. Received: {block.role!r}")
        outputs[index] = cost.out
        costs.append(cost)
    return costs


def _cell(cell: CellSpec, chosen, block: Block, inputs: list[Maps], affine: bool) -> Cost:
    """The candidates of all edges, and what the inputs pass first."""
    # Preprocessing brings the width of the cell, and the first input to the size of the last.
    start = inputs[-1].after(block.channels) if cell.preprocess else inputs[-1]
    out = start.after(block.channels, block.stride)
    strides = {(edge.source, edge.target): edge.stride for edge in cell.edges}
    edges = [(pair[0], _primitive(name).at(strides[pair])) for pair, names in chosen.items() for name in names]
    read = {source: start if source < cell.num_inputs else out for source, _ in edges}
    counts = sum((primitive.counts(read[source], out, affine) for source, primitive in edges), Counts())
    shared = {(source, name) for source, primitive in edges for name in primitive.shared}
    kept = sum(primitive.kept * out.values + primitive.inner(read[source], out) for source, primitive in edges)
    for source, name in shared:
        maps = out if name in HALVED else read[source]
        kept += maps.values * (2 if cell.pool_norm and "pool" in name else 1)  # pooled, and normalised
    if cell.preprocess:  # ReLU, 1x1 convolution (a factorized reduction has as many parameters), batch norm
        for maps in inputs:
            counts += convolution(1, maps.channels, start) + batch_norm(start.channels, affine)
            kept += maps.values + start.values
    copies = len(cell.intermediate_nodes) if cell.output == "concat" else 1
    return Cost(counts, kept, Maps(out.height, out.width, out.channels * copies))


def _primitive(name: str) -> Primitive:
    if name not in PRIMITIVES:
        raise UserError(f"Expected an operation of known cost: {sorted(PRIMITIVES)}. Received: {name!r}")
    return PRIMITIVES[name]


def _chosen(genotype: Genotype, cell: CellSpec) -> dict[tuple[int, int], tuple[str, ...]]:
    nodes = zip(cell.intermediate_nodes, genotype.nodes(cell.kind), strict=True)
    return {(source, node): (name,) for node, edges in nodes for name, source in edges}


def _all(space: Space) -> Chosen:
    return {cell.kind: {(e.source, e.target): e.primitives for e in cell.edges} for cell in space.cells}
