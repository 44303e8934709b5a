"""CellSpec and Space: what they derive from their edges, and what they refuse."""

import dataclasses
import json

import pytest

from tf_edd.errors import UserError
from tf_edd.spaces import (
    Block,
    CellSpec,
    Edge,
    Space,
    darts,
    darts_imagenet,
    nas_bench_201,
    proxyless,
    s1,
    s2,
    s3,
    s4,
    space_from_json,
    space_to_json,
)

OPS = ("a", "b", "c")


def make_cell(**changes) -> CellSpec:
    edges = (Edge(0, 2, OPS), Edge(1, 2, OPS), Edge(0, 3, OPS), Edge(2, 3, OPS, stride=2))
    return CellSpec(**{"cell_type": "normal", "num_inputs": 2, "num_nodes": 4, "edges": edges, **changes})


def test_edges_of_a_node():
    cell = make_cell()
    assert cell.incoming(2) == (0, 1)
    assert cell.incoming(3) == (2, 3)
    assert cell.outgoing(0) == (0, 2)
    assert cell.outgoing(3) == ()
    assert list(cell.intermediate_nodes) == [2, 3]
    assert cell.num_primitives == 3


def test_space_of_two_cells():
    space = Space("two", (make_cell(), make_cell(cell_type="reduce", edges=(Edge(0, 2, OPS[:2]),), num_nodes=3)), ())
    assert space.logit_shapes == {"normal": (4, 3), "reduce": (1, 2)}
    assert space.num_architectures == 3**4 * 2
    assert space.cell("reduce").num_nodes == 3


def test_unknown_cell_names_the_known_ones():
    with pytest.raises(KeyError, match="normal.*Received: cell_type='reduce'"):
        Space("one", (make_cell(),), ()).cell("reduce")


@pytest.mark.parametrize("edge", [Edge(2, 2, OPS), Edge(3, 2, OPS), Edge(0, 1, OPS), Edge(0, 4, OPS), Edge(-1, 2, OPS)])
def test_refuses_edges_that_lead_nowhere(edge):
    with pytest.raises(ValueError, match=f"Received: {edge.source} -> {edge.target}"):
        make_cell(edges=(edge,))


def test_refuses_edges_of_different_width():
    with pytest.raises(ValueError, match=r"same number of primitives. Received: \[2, 3\]"):
        make_cell(edges=(Edge(0, 2, OPS), Edge(0, 3, OPS[:2])))


def test_refuses_unknown_output():
    with pytest.raises(ValueError, match="Received: output='sum'"):
        make_cell(output="sum")


def test_refuses_a_residual_cell_with_a_stride():
    with pytest.raises(ValueError, match="keeps the size of its input. Received: a stride"):
        make_cell(residual=True)
    assert make_cell(edges=make_cell().edges[:3], residual=True).residual


def test_a_chain_has_single_edges_of_their_own_kinds():
    cells = tuple(
        make_cell(cell_type=cell_type, num_inputs=1, num_nodes=2, edges=(Edge(0, 1, OPS),)) for cell_type in "ab"
    )
    a, b = (Block("cell", 4, cell=cell_type) for cell_type in "ab")
    assert Space("chain", cells, (a, b)).is_chain
    assert not Space("shared", cells, (a, b, a)).is_chain
    assert not Space("one", cells[:1], (a,)).is_chain
    assert not Space("wide", (cells[0], make_cell(cell_type="b")), (a, b)).is_chain


def test_descriptions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_cell().cell_type = "other"
    assert hash(make_cell()) == hash(make_cell())


SPACES = [
    nas_bench_201(),
    darts(),
    darts(36, 20, 2, 1, with_none=False),
    darts_imagenet(),
    darts_imagenet(16, 8, stem="search"),
    s1(),
    s2(),
    s3(),
    s4(),
    proxyless(),
    proxyless((8, 8), (1, 2), (1, 2), 8, 1, 8, 16, with_none=False),
    Space("odd", (make_cell(output="concat", edges_per_node=1, excluded=("a", "b"), pool_norm=True),), ()),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}, {len(space.blocks)} blocks")
def test_json_round_trip_is_exact(space):
    content = json.loads(json.dumps(space_to_json(space)))
    assert content == space_to_json(space)
    again = space_from_json(content)
    assert again == space and hash(again) == hash(space) and repr(again) == repr(space)


def test_json_names_what_differs():
    one, other = space_to_json(darts()), space_to_json(darts(with_none=False))
    assert one["blocks"] == other["blocks"] and one["cells"] != other["cells"]
    assert len(json.dumps(one)) < 2000


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"cells": [{}]},
        {"blocks": [[]]},
        {"blocks": None},
        {"cells": [{"primitives": [], "edges": [[]]}]},
    ],
)
def test_refuses_json_of_something_else(change):
    content = {**space_to_json(darts()), **change}
    if change == {"name": None}:
        del content["name"]
    with pytest.raises(UserError, match="Expected a space"):
        space_from_json(content)
