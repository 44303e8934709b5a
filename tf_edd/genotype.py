"""The genotype: the hand-over between a search and everything after it.

A genotype is data. Its file is JSON with a schema version; its text is the form the field uses for the space, here
the NAS-Bench-201 string `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` (one group a node, `op~source` an edge).
"""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np

from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Genotype:
    """A discrete cell of each kind.

    Attributes:
        space: name of the space it belongs to.
        cells: pairs (kind, nodes); nodes holds, for each intermediate node, its incoming edges as (operation, source).
    """

    space: str
    cells: tuple[tuple[str, tuple[tuple[tuple[str, int], ...], ...]], ...]

    def nodes(self, kind: str) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Incoming edges (operation, source) of each intermediate node of the cell of this kind."""
        return dict(self.cells)[kind]

    def count(self, operation: str) -> int:
        """How many edges, over all cell kinds, use `operation`."""
        return sum(op == operation for _, nodes in self.cells for node in nodes for op, _ in node)

    @property
    def num_edges(self) -> int:
        """Edges of all cell kinds together."""
        return sum(len(node) for _, nodes in self.cells for node in nodes)

    def one_hot(self, space: Space) -> dict[str, np.ndarray]:
        """Cell kind -> probabilities [E, O] that put everything on the chosen operations; other edges are zero."""
        tables = {}
        for cell in space.cells:
            table = np.zeros((len(cell.edges), cell.num_primitives), np.float32)
            nodes = dict(zip(cell.intermediate_nodes, self.nodes(cell.kind), strict=True))
            for e, edge in enumerate(cell.edges):
                for operation, source in nodes[edge.target]:
                    if source == edge.source:
                        table[e, edge.primitives.index(operation)] = 1
            tables[cell.kind] = table
        return tables

    def __str__(self) -> str:
        groups = ["+".join(_node_text(node) for node in nodes) for _, nodes in self.cells]
        kinds = [kind for kind, _ in self.cells]
        return groups[0] if len(groups) == 1 else "  ".join(f"{k}: {g}" for k, g in zip(kinds, groups, strict=True))

    def to_json(self) -> dict:
        """The content of a genotype file."""
        return {
            "schema": SCHEMA,
            "space": self.space,
            "cells": {kind: [[list(edge) for edge in node] for node in nodes] for kind, nodes in self.cells},
            "text": str(self),
        }

    @classmethod
    def from_json(cls, content: dict, origin: str = "genotype") -> "Genotype":
        """The genotype of a file's content; `origin` names the file in errors.

        Raises:
            UserError: another schema, or a content that is no genotype.
        """
        try:
            schema, space, cells = content["schema"], content["space"], content["cells"].items()
            cells = tuple(
                (str(kind), tuple(tuple((str(op), int(source)) for op, source in node) for node in nodes))
                for kind, nodes in cells
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{origin}: not a genotype (expected keys: schema, space, cells): {error!r}") from error
        if schema != SCHEMA:
            raise UserError(f"{origin}: expected genotype schema {SCHEMA}. Received: {schema!r}")
        return cls(str(space), cells)

    def check(self, space: Space) -> "Genotype":
        """Returns itself if it is a cell of `space`.

        Raises:
            UserError: another space, other cells or nodes, or an operation that is no candidate of its edge.
        """
        if self.space != space.name:
            raise UserError(f"Expected a genotype of space {space.name!r}. Received: one of space {self.space!r}")
        kinds = [cell.kind for cell in space.cells]
        if [kind for kind, _ in self.cells] != kinds:
            raise UserError(f"Space {space.name!r} has the cells {kinds}. Received: {[k for k, _ in self.cells]}")
        for cell in space.cells:
            _check_cell(self.nodes(cell.kind), cell)
        return self


def _node_text(node) -> str:
    return "|" + "".join(f"{op}~{source}|" for op, source in node)


def _check_cell(nodes, cell: CellSpec) -> None:
    if len(nodes) != len(cell.intermediate_nodes):
        raise UserError(f"Cell {cell.kind!r} has {len(cell.intermediate_nodes)} nodes. Received: {len(nodes)}")
    for node, edges in zip(cell.intermediate_nodes, nodes, strict=True):
        candidates = {cell.edges[i].source: cell.edges[i].primitives for i in cell.incoming(node)}
        expected = cell.edges_per_node or len(candidates)
        if len(edges) != expected or len({source for _, source in edges}) != expected:
            raise UserError(
                f"Node {node} of cell {cell.kind!r} takes {expected} edges from different nodes. Received: {edges}"
            )
        for operation, source in edges:
            allowed = [op for op in candidates.get(source, ()) if op not in cell.excluded]
            if operation not in allowed:
                raise UserError(
                    f"Edge {source} -> {node} of cell {cell.kind!r} takes one of {allowed}. Received: {operation!r}"
                )


def from_text(text: str, space: Space) -> Genotype:
    """The genotype of a NAS-Bench-201 string, e.g. `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|`.

    Raises:
        UserError: not of that form, or not a cell of `space`.
    """
    nodes = []
    for group in text.strip().split("+"):
        edges = re.findall(r"([^|~]+)~(\d+)\|", group)
        if _node_text([(op, int(source)) for op, source in edges]) != group or not edges:
            raise UserError(f"Expected a cell such as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|. Received: {text!r}")
        nodes.append(tuple((op, int(source)) for op, source in edges))
    if len(space.cells) != 1:
        raise UserError(f"Space {space.name!r} has several cell kinds and no text form. Received: {text!r}")
    return Genotype(space.name, ((space.cells[0].kind, tuple(nodes)),)).check(space)


def load(name: str, space: Space) -> Genotype:
    """The genotype that `name` tells: a JSON file, or the text of a cell.

    Raises:
        UserError: no such file, truncated JSON, or a genotype that does not fit `space`.
    """
    if "~" in name and "|" in name:
        return from_text(name, space)
    path = Path(name)
    if path.is_dir():
        path = path / "genotype.json"
    if not path.is_file():
        raise UserError(f"Expected a genotype file or a cell such as |op~0|+... Received: {name!r} (no such file)")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a complete JSON file ({error})") from error
    return Genotype.from_json(content, str(path)).check(space)
