"""A search space as a frozen description: cells, edges, primitives and macro skeleton, without layers."""

import dataclasses
import math
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Edge:
    """A compound edge of a cell and its candidate operations.

    Attributes:
        source: index of the node the edge leaves. Nodes 0..num_inputs-1 are the inputs of the cell.
        target: index of the node the edge enters.
        primitives: names of the candidate operations, in the order of the architecture logits (O of them).
        stride: spatial stride of the candidates in this edge.
    """

    source: int
    target: int
    primitives: tuple[str, ...]
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class CellSpec:
    """A cell: a directed acyclic graph of nodes and compound edges.

    Attributes:
        kind: name of the cell kind; all cells of one kind share their architecture logits.
        num_inputs: how many previous outputs the cell reads (1 on NAS-Bench-201, 2 in the DARTS space).
        num_nodes: all nodes, the inputs included.
        edges: E compound edges in the order of the rows of the architecture logits.
        output: "last" (the last node) or "concat" (all intermediate nodes along the channels).
        edges_per_node: how many incoming edges a node of the final network keeps; None keeps all.
        excluded: primitives that take part in the search and never in a genotype (`none` in the DARTS space).
        preprocess: whether the inputs first pass ReLU, a 1x1 convolution and batch norm to get the cell's channels; the
            first of two passes a factorized reduction instead when its map is larger than the second's.
        pool_norm: whether pooling candidates are followed by batch norm in the supernet, never in a final network.
        residual: whether the last input is added to the last node; with `none` on its edges nothing else remains.
    """

    kind: str
    num_inputs: int
    num_nodes: int
    edges: tuple[Edge, ...]
    output: str = "last"
    edges_per_node: int | None = None
    excluded: tuple[str, ...] = ()
    preprocess: bool = False
    pool_norm: bool = False
    residual: bool = False

    def __post_init__(self):
        if self.output not in ("last", "concat"):
            raise ValueError(f"output must be 'last' or 'concat'. Received: output={self.output!r}")
        if self.residual and any(edge.stride != 1 for edge in self.edges):
            raise ValueError(f"A residual cell keeps the size of its input. Received: a stride in {self.edges}")
        widths = {len(edge.primitives) for edge in self.edges}
        if len(widths) != 1:
            raise ValueError(f"All edges of a cell need the same number of primitives. Received: {sorted(widths)}")
        for edge in self.edges:
            if not 0 <= edge.source < edge.target < self.num_nodes or edge.target < self.num_inputs:
                raise ValueError(
                    f"An edge must lead from an earlier node to an intermediate one. Received: {edge.source} -> "
                    f"{edge.target} in a cell of {self.num_nodes} nodes, {self.num_inputs} of them inputs"
                )

    @property
    def num_primitives(self) -> int:
        """O: candidate operations per edge."""
        return len(self.edges[0].primitives)

    def incoming(self, node: int) -> tuple[int, ...]:
        """Indices of the edges that enter `node`."""
        return tuple(i for i, edge in enumerate(self.edges) if edge.target == node)

    def outgoing(self, node: int) -> tuple[int, ...]:
        """Indices of the edges that leave `node`."""
        return tuple(i for i, edge in enumerate(self.edges) if edge.source == node)

    @property
    def intermediate_nodes(self) -> range:
        """The nodes that are not inputs."""
        return range(self.num_inputs, self.num_nodes)


@dataclasses.dataclass(frozen=True)
class Block:
    """One element of the macro skeleton, from the image to the logits.

    Attributes:
        role: "stem" (3x3 convolution, batch norm), "stem_quarter" (two of them of stride 2, ReLU between),
            "stem_eighth" (ReLU and one of stride 2), "cell", "reduction" (the fixed residual block of NAS-Bench-201),
            "mobile_stem" (3x3 convolution, batch norm, ReLU6), "mobile_first" (`MBConv` 3x3 that does not expand),
            "mobile_head" (1x1 convolution, batch norm, ReLU6), "head" (batch norm, ReLU, global pooling, linear),
            "classifier" (global pooling, linear), and "auxiliary_cifar" or "auxiliary_imagenet": a side branch that
            reads the block before it, which the training of a final network may add; nothing else sees it.
        channels: output channels (of each node, in a cell).
        stride: spatial stride.
        cell: the kind of cell, for role "cell".
    """

    role: str
    channels: int
    stride: int = 1
    cell: str | None = None

    @property
    def auxiliary(self) -> bool:
        """Whether this is a side branch."""
        return self.role.startswith("auxiliary")


@dataclasses.dataclass(frozen=True)
class Wire:
    """What a block of the macro skeleton reads.

    Attributes:
        sources: indices of the blocks whose outputs it reads, the nearest last; -1 is the image.
        scales: by which factor each of them is smaller than the image.
    """

    sources: tuple[int, ...]
    scales: tuple[int, ...]

    @property
    def halves_first(self) -> bool:
        """Whether the first input has a larger map than the last one."""
        return self.scales[0] < self.scales[-1]


@dataclasses.dataclass(frozen=True)
class Space:
    """A search space: its cell kinds and the macro skeleton that stacks them.

    Attributes:
        name: the name written into genotypes; a genotype of another name is refused.
        cells: the cell kinds that are searched.
        blocks: the macro skeleton, from the image to the logits.
    """

    name: str
    cells: tuple[CellSpec, ...]
    blocks: tuple[Block, ...]

    def cell(self, kind: str) -> CellSpec:
        """The cell of this kind."""
        for cell in self.cells:
            if cell.kind == kind:
                return cell
        raise KeyError(f"Space {self.name!r} has cells {[c.kind for c in self.cells]}. Received: kind={kind!r}")

    @property
    def wires(self) -> tuple[Wire, ...]:
        """What each block reads: the output before it, a cell the last `num_inputs` ones.

        The image is read by the first block alone. Where a cell has more inputs than there are outputs, the first
        output is repeated.
        """
        chain, scales, wires = [-1], {-1: 1}, []
        for index, block in enumerate(self.blocks):
            count = self.cell(block.cell).num_inputs if block.role == "cell" else 1
            sources = tuple((chain[:1] * count + chain)[-count:])
            wires.append(Wire(sources, tuple(scales[source] for source in sources)))
            scales[index] = wires[-1].scales[-1] * block.stride
            if not block.auxiliary:
                chain = [index] if chain == [-1] else [*chain, index]
        return tuple(wires)

    @property
    def is_chain(self) -> bool:
        """Whether every cell is a single edge and a kind of its own: a genotype is then a list of operations."""
        kinds = [block.cell for block in self.blocks if block.role == "cell"]
        return len(kinds) == len(set(kinds)) > 1 and all(len(cell.edges) == 1 for cell in self.cells)

    @property
    def logit_shapes(self) -> Mapping[str, tuple[int, int]]:
        """Shape [E, O] of the architecture logits of each cell kind."""
        return {cell.kind: (len(cell.edges), cell.num_primitives) for cell in self.cells}

    @property
    def num_architectures(self) -> int:
        """How many ways there are to choose one candidate on every edge."""
        return math.prod(cell.num_primitives ** len(cell.edges) for cell in self.cells)
