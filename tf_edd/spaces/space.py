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
    """

    kind: str
    num_inputs: int
    num_nodes: int
    edges: tuple[Edge, ...]
    output: str = "last"
    edges_per_node: int | None = None
    excluded: tuple[str, ...] = ()

    def __post_init__(self):
        if self.output not in ("last", "concat"):
            raise ValueError(f"output must be 'last' or 'concat'. Received: output={self.output!r}")
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
        role: "stem", "cell", "reduction" (the fixed residual block of NAS-Bench-201) or "head".
        channels: output channels (of each node, in a cell).
        stride: spatial stride.
        cell: the kind of cell, for role "cell".
    """

    role: str
    channels: int
    stride: int = 1
    cell: str | None = None


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
    def logit_shapes(self) -> Mapping[str, tuple[int, int]]:
        """Shape [E, O] of the architecture logits of each cell kind."""
        return {cell.kind: (len(cell.edges), cell.num_primitives) for cell in self.cells}

    @property
    def num_architectures(self) -> int:
        """How many ways there are to choose one candidate on every edge."""
        return math.prod(cell.num_primitives ** len(cell.edges) for cell in self.cells)
