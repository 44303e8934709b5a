"""The argmax discretizer: Eq. 2 on NAS-Bench-201, and the top-k rule of the DARTS space."""

import numpy as np
import pytest

from tf_edd.architectures.genotype import from_text
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.spaces import Block, CellSpec, Edge, Space, nas_bench_201, proxyless

OPERATIONS = ("none", "skip_connect", "sep_conv_3x3")


def darts_like_space():
    """Two inputs and two intermediate nodes with 2 and 3 incoming edges, of which 2 stay; `none` is only searched."""
    edges = tuple(Edge(source, target, OPERATIONS) for target in (2, 3) for source in range(target))
    cells = [
        CellSpec(cell_type, 2, 4, edges, "concat", edges_per_node=2, excluded=("none",))
        for cell_type in ("normal", "reduce")
    ]
    return Space("small_darts", tuple(cells), (Block("stem", 4), Block("head", 4)))


def one_hot(choices, width):
    return np.eye(width, dtype=np.float32)[list(choices)]


def test_the_best_published_cell():
    space = nas_bench_201()
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    assert Argmax()({"cell": one_hot([3, 3, 4, 1, 3, 1], 5)}, space) == from_text(text, space)


def test_none_may_win_on_nas_bench_201():
    genotype = Argmax()({"cell": one_hot([0] * 6, 5)}, nas_bench_201())
    assert genotype.count("none") == 6


def test_ties_go_to_the_lowest_operation():
    genotype = Argmax()({"cell": np.full((6, 5), 0.2, np.float32)}, nas_bench_201())
    assert str(genotype) == "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def test_excluded_operations_are_skipped_and_weak_edges_dropped():
    normal = np.array(
        [
            [0.90, 0.06, 0.04],  # none leads and is passed over
            [0.10, 0.20, 0.70],
            [0.80, 0.15, 0.05],  # best other than none: 0.15, not renormalized to 0.75
            [0.10, 0.40, 0.50],
            [0.50, 0.20, 0.30],
        ]
    )
    tied = np.tile([0.4, 0.3, 0.3], (5, 1))
    genotype = Argmax()({"normal": normal, "reduce": tied}, darts_like_space())
    assert genotype.nodes("normal") == (
        (("skip_connect", 0), ("sep_conv_3x3", 1)),
        (("sep_conv_3x3", 1), ("sep_conv_3x3", 2)),
    )
    # ties: lower edges and lower operations
    assert genotype.nodes("reduce") == ((("skip_connect", 0), ("skip_connect", 1)),) * 2


def test_a_cell_allows_what_it_does_not_exclude():
    normal = darts_like_space().cell("normal")
    assert normal.allowed == ((False, True, True),) * 5
    assert nas_bench_201().cell("cell").allowed == ((True,) * 5,) * 6


def reference_rule(table):
    """`genotype` of quark0/darts for this cell, written after the published description, edges put in order."""
    nodes, start = [], 0
    for incoming in (2, 3):
        rows = table[start : start + incoming]
        ranked = sorted(range(incoming), key=lambda j: -max(rows[j][k] for k in (1, 2)))[:2]
        nodes.append(tuple((OPERATIONS[max((1, 2), key=lambda k: rows[j][k])], j) for j in sorted(ranked)))
        start += incoming
    return tuple(nodes)


def test_top_two_against_an_independent_rule():
    generator, space = np.random.default_rng(0), darts_like_space()
    for _ in range(50):
        probs = {cell_type: generator.dirichlet([1, 1, 1], size=5) for cell_type in ("normal", "reduce")}
        genotype = Argmax()(probs, space)
        assert [genotype.nodes(cell_type) for cell_type in probs] == [
            reference_rule(table.tolist()) for table in probs.values()
        ]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_are_refused(bad):
    table = one_hot([1] * 6, 5)
    table[2, 3] = bad
    with pytest.raises(UserError, match="Received: 1 edges"):
        Argmax()({"cell": table}, nas_bench_201())


@pytest.mark.parametrize("probs", [{}, {"normal": one_hot([1] * 6, 5)}, {"cell": one_hot([1] * 5, 5)}])
def test_missing_kinds_and_wrong_shapes_are_refused(probs):
    with pytest.raises(UserError, match=r"shape \(6, 5\).*Received: "):
        Argmax()(probs, nas_bench_201())


def test_each_block_of_a_chain_takes_its_own_largest_entry():
    """Blocks have six or seven candidates; `none` may win, and leaves the block out."""
    space = proxyless((4, 6), (2, 1), (1, 2), 4, 1, 4, 8)
    choices = {"block_01": 6, "block_02": 3, "block_03": 5}
    probs = {cell_type: one_hot([choice], space.logit_shapes[cell_type][1]) for cell_type, choice in choices.items()}
    assert str(Argmax()(probs, space)) == "none,mbconv_k5_e6,mbconv_k7_e6"
    with pytest.raises(UserError, match=r"shape \(1, 6\) for cell type 'block_03'. Received: \(1, 7\)"):
        Argmax()({**probs, "block_03": probs["block_01"]}, space)
