"""The genotype: what a search hands over to everything after it.

A genotype is data. Its file is JSON with a schema version; its text has the form that is usual for the space:

    one cell type        |op~0|+|op~0|op~1|+|op~0|op~1|op~2|      NAS-Bench-201: one group per node, `op~source` an edge
    several cell types   Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=...)      DARTS
    a chain of blocks    mbconv_k5_e3,mbconv_k3_e3,none,...                      ProxylessNAS: one operation per block

Published cells can be given by name: `published_genotypes.json`.
"""

import ast
import dataclasses
import difflib
import functools
import itertools
import json
import os
import re
from pathlib import Path

import numpy as np

from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space

SCHEMA = 1
COLLAPSE_OPERATIONS = ("skip_connect", "none", "noise")  # what a collapsed cell consists of
_SHOWN = 200  # characters of a wrong text in an error
PUBLISHED = Path(__file__).with_name("published_genotypes.json")


@dataclasses.dataclass(frozen=True)
class Genotype:
    """A discrete cell of each type.

    Attributes:
        space: Name of the space it belongs to.
        cells: Pairs (type, nodes); nodes holds, for each intermediate node, its incoming edges as (operation, source).
    """

    space: str
    cells: tuple[tuple[str, tuple[tuple[tuple[str, int], ...], ...]], ...]

    def nodes(self, cell_type: str) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Incoming edges (operation, source) of each intermediate node of the cell of this type."""
        return dict(self.cells)[cell_type]

    def operations(self, cell_type: str | None = None) -> list[str]:
        """The operations of all edges, of all cell types or of this one."""
        return [op for name, nodes in self.cells if cell_type in (None, name) for node in nodes for op, _ in node]

    def count(self, operation: str, cell_type: str | None = None) -> int:
        """Number of edges that use `operation`, in all cell types or in this one."""
        return self.operations(cell_type).count(operation)

    @property
    def num_edges(self) -> int:
        """Number of edges of all cell types together."""
        return len(self.operations())

    def one_hot(self, space: Space) -> dict[str, np.ndarray]:
        """Cell type -> probabilities [E, O] that put everything on the chosen operations; other edges are zero."""
        tables = {}
        for cell in space.cells:
            table = np.zeros((len(cell.edges), cell.num_primitives), np.float32)
            nodes = dict(zip(cell.intermediate_nodes, self.nodes(cell.cell_type), strict=True))
            for e, edge in enumerate(cell.edges):
                for operation, source in nodes[edge.target]:
                    if source == edge.source and not cell.leaves_out(e, operation):
                        table[e, edge.primitives.index(operation)] = 1
            tables[cell.cell_type] = table
        return tables

    def __str__(self) -> str:
        if len(self.cells) == 1:
            return "+".join(_node_text(node) for node in self.cells[0][1])
        if all([len(node) for node in nodes] == [1] for _, nodes in self.cells):
            return ",".join(nodes[0][0][0] for _, nodes in self.cells)
        return f"Genotype({', '.join(_cell_text(cell_type, nodes) for cell_type, nodes in self.cells)})"

    def to_json(self) -> dict:
        """The content of a genotype file."""
        return {
            "schema": SCHEMA,
            "space": self.space,
            "cells": {cell_type: [[list(edge) for edge in node] for node in nodes] for cell_type, nodes in self.cells},
            "text": str(self),
        }

    @classmethod
    def from_json(cls, content: dict, origin: str = "genotype") -> "Genotype":
        """The genotype of a file's content; `origin` names the file in errors.

        Raises:
            UserError: another schema, or content that is not a genotype.
        """
        try:
            schema, space, cells = content["schema"], content["space"], content["cells"].items()
            cells = tuple(
                (str(cell_type), tuple(tuple(_read_edge(edge, origin) for edge in node) for node in nodes))
                for cell_type, nodes in cells
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{origin}: not a genotype (expected keys: schema, space, cells): {error!r}") from error
        if schema != SCHEMA:
            raise UserError(f"{origin}: expected genotype schema {SCHEMA}. Received: {schema!r}")
        return cls(str(space), cells)

    def check(self, space: Space) -> "Genotype":
        """Returns itself if it is a cell of `space`.

        Raises:
            UserError: another space, other cells or nodes, or an operation that is not a candidate of its edge.
        """
        _check_space(self.space, space)
        cell_types = [cell.cell_type for cell in space.cells]
        if [cell_type for cell_type, _ in self.cells] != cell_types:
            raise UserError(f"Space {space.name!r} has the cells {cell_types}. Received: {[k for k, _ in self.cells]}")
        for cell in space.cells:
            _check_cell(self.nodes(cell.cell_type), cell)
        return self


def _read_edge(edge, origin: str) -> tuple[str, int]:
    """An edge of a file. Sources that are not integers are refused: converting 0.7 or True would be a guess."""
    if not isinstance(edge, (list, tuple)) or [type(part) for part in edge] != [str, int]:
        raise UserError(f'{origin}: an edge is a pair such as ["skip_connect", 0]. Received: {edge!r}')
    return edge[0], edge[1]


def _node_text(node) -> str:
    return "|" + "".join(f"{op}~{source}|" for op, source in node)


def _cell_text(cell_type: str, nodes) -> str:
    """As the DARTS code prints it: all edges in one list, and the concatenated nodes behind the two inputs."""
    return f"{cell_type}={list(itertools.chain(*nodes))}, {cell_type}_concat={range(2, 2 + len(nodes))}"


def _check_space(name: str, space: Space) -> None:
    if name != space.name:
        raise UserError(f"Expected a genotype of space {space.name!r}. Received: one of space {name!r}")


def _check_cell(nodes, cell: CellSpec) -> None:
    if len(nodes) != len(cell.intermediate_nodes):
        raise UserError(f"Cell {cell.cell_type!r} has {len(cell.intermediate_nodes)} nodes. Received: {len(nodes)}")
    allowed = cell.allowed
    for node, edges in zip(cell.intermediate_nodes, nodes, strict=True):
        candidates = {
            cell.edges[i].source: list(itertools.compress(cell.edges[i].primitives, allowed[i]))
            for i in cell.incoming(node)
        }
        expected = cell.edges_per_node or len(candidates)
        if len(edges) != expected or len({source for _, source in edges}) != expected:
            raise UserError(
                f"Node {node} of cell {cell.cell_type!r} takes {expected} edges from different nodes. "
                f"Received: {_shortened(str(edges))}"
            )
        for operation, source in edges:
            if source not in candidates:
                raise UserError(
                    f"Node {node} of cell {cell.cell_type!r} reads one of the nodes {sorted(candidates)}. "
                    f"Received: source {source}"
                )
            if operation not in candidates[source] and not (cell.optional_edges and operation == "none"):
                raise UserError(
                    f"Edge {source} -> {node} of cell {cell.cell_type!r} takes one of {candidates[source]}. "
                    f"Received: {operation!r}"
                )


def from_text(text: str, space: Space) -> Genotype:
    """The genotype of a text in the form of the space, see the top of this file. Nothing in the text is executed.

    Raises:
        UserError: not of that form, or not a cell of `space`.
    """
    read = _read_string if len(space.cells) == 1 else _read_chain if space.is_chain else _read_call
    return Genotype(space.name, read(text.strip(), space)).check(space)


def _read_string(text: str, space: Space):
    nodes = []
    for group in text.split("+"):
        # Edge by edge: a search for them in the whole group would take quadratic time on a long wrong text.
        edges = [re.fullmatch(r"([^|~]+)~(\d{1,9})", edge) for edge in group[1:-1].split("|")]
        node = tuple((edge[1], int(edge[2])) for edge in edges if edge)
        if not node or _node_text(node) != group:
            raise UserError(
                f"Expected a cell such as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|. Received: {_shortened(text)!r}"
            )
        nodes.append(node)
    return ((space.cells[0].cell_type, tuple(nodes)),)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _read_chain(text: str, space: Space):
    operations = [operation.strip() for operation in text.split(",")]
    if len(operations) != len(space.cells):
        raise UserError(
            f"Expected {len(space.cells)} operations with commas between them, such as mbconv_k3_e6,none,... "
            f"Received: {len(operations)} in {_shortened(text)!r}"
        )
    return tuple(
        (cell.cell_type, (((operation, cell.edges[0].source),),))
        for cell, operation in zip(space.cells, operations, strict=True)
    )


def _read_call(text: str, space: Space):
    names = [name for cell in space.cells for name in (cell.cell_type, f"{cell.cell_type}_concat")]
    form = f"Genotype({', '.join(f'{name}=[...]' for name in names)})"
    try:
        call = ast.parse(re.sub(r"^\w+\s*=\s*", "", text), mode="eval").body  # a name in front, as in genotypes.py
        if not _calls(call, "Genotype") or call.args:
            raise ValueError("it is no call of Genotype by keywords")
        given = {keyword.arg: _literal(keyword.value) for keyword in call.keywords}
        if set(given) != set(names):
            raise ValueError(f"its arguments are {list(given)}")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"Expected a cell such as {form}. Received: {_shortened(text)!r} ({error})") from error
    return tuple(
        (cell.cell_type, _read_cell(given[cell.cell_type], given[f"{cell.cell_type}_concat"], cell))
        for cell in space.cells
    )


def _calls(node, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _literal(node):
    """The value of a literal, or of range(...) of literals."""
    return range(*map(ast.literal_eval, node.args)) if _calls(node, "range") else ast.literal_eval(node)


def _read_cell(edges, concat, cell: CellSpec):
    """The nodes of a list of all edges, node after node."""
    for edge in edges if isinstance(edges, (list, tuple)) else [edges]:
        if not isinstance(edge, tuple) or [type(part) for part in edge] != [str, int]:
            raise UserError(f"Cell {cell.cell_type!r} takes edges such as ('sep_conv_3x3', 0). Received: {edge!r}")
    widths = [cell.edges_per_node or len(cell.incoming(node)) for node in cell.intermediate_nodes]
    if len(edges) != sum(widths):
        raise UserError(
            f"The {len(widths)} nodes of cell {cell.cell_type!r} take {sum(widths)} edges. Received: {len(edges)} edges"
        )
    nodes = range(cell.num_inputs, cell.num_nodes)
    if concat not in (nodes, list(nodes), tuple(nodes)):
        raise UserError(f"The output of cell {cell.cell_type!r} is that of the nodes {list(nodes)}. Received: {concat}")
    rest = iter(edges)
    return tuple(tuple(itertools.islice(rest, width)) for width in widths)


@functools.cache
def published() -> dict[str, dict]:
    """Name -> space, genotype (its text), parameters (in millions, as reported, by data set) and source."""
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def load(name: str, space: Space) -> Genotype:
    """The genotype that `name` stands for: a published cell, the text of a cell, a JSON file or the folder of one.

    Raises:
        UserError: no such file or name, truncated JSON, or a genotype that does not fit `space`.
    """
    if name in published():
        _check_space(published()[name]["space"], space)
        return from_text(published()[name]["genotype"], space)
    if ("~" in name and "|" in name) or "Genotype(" in name or (space.is_chain and _lists_operations(name)):
        return from_text(name, space)
    path = Path(name, "genotype.json") if os.path.isdir(name) else Path(name)
    if not os.path.isfile(path):  # unlike Path.is_file it accepts a name of any length
        raise UserError(_unknown(name, space))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # truncated, no text, nested deeply, numbers of 5,000 digits
        raise UserError(f"{path}: not a complete JSON file ({_shortened(str(error))})") from error
    return Genotype.from_json(content, str(path)).check(space)


def _lists_operations(text: str) -> bool:
    return re.fullmatch(r"\s*\w+(\s*,\s*\w+)+\s*", text) is not None


def _unknown(name: str, space: Space) -> str:
    """An error message that lists the published cells of the space, the nearest names first."""
    known = [other for other, entry in published().items() if entry["space"] == space.name]
    start = name[:_SHOWN].lower()
    known.sort(key=lambda other: -difflib.SequenceMatcher(None, start, other.lower()).ratio())
    names = f" or a published name ({', '.join(known)})" if known else ""
    return f"Expected a genotype file, the text of a cell{names}. Received: {_shortened(name)!r} (no such file)"
