"""A search space as a frozen description: cells, edges, primitives and macro skeleton, without layers."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping

from tf_edd.errors import UserError


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
        cell_type: name of the cell type; all cells of one type share their architecture logits.
        num_inputs: how many previous outputs the cell reads (1 on NAS-Bench-201, 2 in the DARTS space).
        num_nodes: number of nodes, including the inputs.
        edges: E compound edges in the order of the rows of the architecture logits.
        output: "last" (the last node) or "concat" (all intermediate nodes along the channels).
        edges_per_node: how many incoming edges a node of the final network keeps; None keeps all.
        excluded: primitives that take part in the search but never in a genotype (`none` in the DARTS space).
        preprocess: whether the inputs first pass ReLU, a 1x1 convolution and batch norm to get the cell's channels; the
            first of two passes a factorized reduction instead if its maps are larger than the second's.
        pool_norm: whether batch norm follows pooling candidates in the supernet; it never does in a final network.
        residual: whether the last input is added to the last node; with `none` on its edges nothing else remains.
        optional_edges: whether a genotype may leave out edges that it would keep: they then are `none`, although that
            is no candidate. What nothing of the inputs reaches is not in the output of a cell of output "concat".
    """

    cell_type: str
    num_inputs: int
    num_nodes: int
    edges: tuple[Edge, ...]
    output: str = "last"
    edges_per_node: int | None = None
    excluded: tuple[str, ...] = ()
    preprocess: bool = False
    pool_norm: bool = False
    residual: bool = False
    optional_edges: bool = False

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

    @property
    def allowed(self) -> tuple[tuple[bool, ...], ...]:
        """[E, O]: which candidates a genotype may contain; those that are not `excluded`."""
        return tuple(tuple(name not in self.excluded for name in edge.primitives) for edge in self.edges)

    def leaves_out(self, edge: int, operation: str) -> bool:
        """Whether this operation of a genotype says that it has left out the edge, see `optional_edges`."""
        return self.optional_edges and operation == "none" and "none" not in self.edges[edge].primitives

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
        role: "cell", or a row of `networks.roles.ROLES` such as "stem" or "classifier". A role that begins with
            "auxiliary" is a side branch that reads the block before it, which the training of a final network may add.
        channels: output channels (of each node, in a cell).
        stride: spatial stride.
        cell: the type of cell, for role "cell".
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
    def reduction_prev(self) -> bool:
        """Whether the first input has larger maps than the last one, as in a cell after a reduction."""
        return self.scales[0] < self.scales[-1]


@dataclasses.dataclass(frozen=True)
class Space:
    """A search space: its cell types, and the macro skeleton that stacks them.

    Attributes:
        name: the name written into genotypes; a genotype of another name is refused.
        cells: the cell types that are searched.
        blocks: the macro skeleton, from the image to the logits.
    """

    name: str
    cells: tuple[CellSpec, ...]
    blocks: tuple[Block, ...]

    def describe(self) -> dict:
        """What the record of a run says of the space: enough to name a difference, and a digest of everything."""
        text = json.dumps(space_to_json(self), sort_keys=True)
        cells = [block for block in self.blocks if block.role == "cell"]
        return {
            "name": self.name,
            "num_cells": len(cells),
            "channels": [block.channels for block in self.blocks],
            "primitives": sorted({name for cell in self.cells for edge in cell.edges for name in edge.primitives}),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    def cell(self, cell_type: str) -> CellSpec:
        """The cell of this type."""
        for cell in self.cells:
            if cell.cell_type == cell_type:
                return cell
        raise KeyError(
            f"Space {self.name!r} has cells {[c.cell_type for c in self.cells]}. Received: cell_type={cell_type!r}"
        )

    @property
    def wires(self) -> tuple[Wire, ...]:
        """What each block reads: the previous output, or for a cell the last `num_inputs` outputs.

        Only the first block reads the image. If a cell has more inputs than there are outputs, the first output is
        repeated.
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
        """Whether every cell is a single edge and a type of its own: a genotype is then a list of operations."""
        cell_types = [block.cell for block in self.blocks if block.role == "cell"]
        return len(cell_types) == len(set(cell_types)) > 1 and all(len(cell.edges) == 1 for cell in self.cells)

    @property
    def logit_shapes(self) -> Mapping[str, tuple[int, int]]:
        """Shape [E, O] of the architecture logits of each cell type."""
        return {cell.cell_type: (len(cell.edges), cell.num_primitives) for cell in self.cells}

    @property
    def num_architectures(self) -> int:
        """Number of ways to choose one candidate on every edge."""
        return math.prod(cell.num_primitives ** len(cell.edges) for cell in self.cells)


def space_to_json(space: Space) -> dict:
    """A space as JSON, from which `space_from_json` makes an equal one.

    Fields that have their default are left out. An edge is [source, target, stride, row], where the row is that of its
    candidates in the list `primitives` of the cell; a block is [role, channels, stride, cell type].
    """
    cells = [_cell_to_json(cell) for cell in space.cells]
    return {"name": space.name, "cells": cells, "blocks": [list(dataclasses.astuple(block)) for block in space.blocks]}


def space_from_json(content: Mapping) -> Space:
    """The space of what `space_to_json` returned.

    Raises:
        UserError: A content that does not describe a space.
    """
    try:
        cells = tuple(_cell_from_json(cell) for cell in content["cells"])
        return Space(content["name"], cells, tuple(Block(*block) for block in content["blocks"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"Expected a space as `space_to_json` describes it: {error!r}") from error


def _cell_to_json(cell: CellSpec) -> dict:
    given = {field.name: getattr(cell, field.name) for field in dataclasses.fields(cell) if field.name != "edges"}
    defaults = {field.name: field.default for field in dataclasses.fields(cell)}
    content = {name: _list(value) for name, value in given.items() if value != defaults[name]}
    rows = list(dict.fromkeys(edge.primitives for edge in cell.edges))
    edges = [[edge.source, edge.target, edge.stride, rows.index(edge.primitives)] for edge in cell.edges]
    return {**content, "primitives": _list(tuple(rows)), "edges": edges}


def _cell_from_json(content: Mapping) -> CellSpec:
    rows = [tuple(row) for row in content["primitives"]]
    edges = tuple(Edge(source, target, rows[row], stride) for source, target, stride, row in content["edges"])
    others = {name: _tuple(value) for name, value in content.items() if name not in ("primitives", "edges")}
    return CellSpec(**others, edges=edges)


def _list(value):
    """The value with lists instead of tuples."""
    return [_list(each) for each in value] if isinstance(value, tuple) else value


def _tuple(value):
    """The value with tuples instead of lists."""
    return tuple(_tuple(each) for each in value) if isinstance(value, list) else value
