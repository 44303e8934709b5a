"""S1 to S4: the candidates of every edge, as the tables of automl/RobustDARTS list them."""

import pytest

from tf_edd.errors import UserError
from tf_edd.spaces import darts, s1, s2, s3, s4

SHORT = {"skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3", "sep3": "sep_conv_3x3"}
SHORT |= {"dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5", "none": "none", "noise": "noise"}
NORMAL = """skip,dil3 skip,dil5 skip,dil5 skip,sep3 skip,dil3 max,skip skip,sep3 skip,sep3 skip,dil3 skip,sep3 max,skip
skip,dil3 dil3,dil5 dil3,dil5"""
REDUCE = """max,avg max,dil3 max,avg max,avg skip,dil5 max,avg max,sep3 skip,dil3 skip,dil5 max,avg max,avg skip,dil5
skip,dil5 skip,dil5"""


def candidates(text):
    return [tuple(SHORT[name] for name in edge.split(",")) for edge in text.split()]


@pytest.mark.parametrize(
    "build, normal, reduce",
    [
        (s1, NORMAL, REDUCE),
        (s2, "skip,sep3 " * 14, "skip,sep3 " * 14),
        (s3, "none,skip,sep3 " * 14, "none,skip,sep3 " * 14),
        (s4, "noise,sep3 " * 14, "noise,sep3 " * 14),
    ],
)
def test_candidates_of_every_edge(build, normal, reduce):
    space = build()
    assert space.name == build.__name__
    assert [edge.primitives for edge in space.cell("normal").edges] == candidates(normal)
    assert [edge.primitives for edge in space.cell("reduce").edges] == candidates(reduce)


@pytest.mark.parametrize("build", [s1, s2, s3, s4])
def test_everything_else_is_the_darts_space(build):
    space, reference = build(20, 5, 2), darts(20, 5, 4, 2)
    assert space.blocks == reference.blocks
    for cell, other in zip(space.cells, reference.cells, strict=True):
        assert [(e.source, e.target, e.stride) for e in cell.edges] == [
            (e.source, e.target, e.stride) for e in other.edges
        ]
        assert (cell.output, cell.edges_per_node, cell.excluded) == (other.output, other.edges_per_node, other.excluded)


def test_refuses_sizes():
    with pytest.raises(UserError, match="num_cells=2"):
        s3(num_cells=2)
