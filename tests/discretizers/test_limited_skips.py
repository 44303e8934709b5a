"""At most so many skip connections, against the released algorithm of P-DARTS and cells that are written out."""

import numpy as np
import pytest
from tiny_search import with_candidates

from tf_edd.discretizers import Argmax, LimitedSkips
from tf_edd.errors import UserError
from tf_edd.spaces import darts, nas_bench_201, s2

DARTS = darts(4, 3, with_none=False)
NAMES = DARTS.cells[0].edges[0].primitives
SKIP = NAMES.index("skip_connect")


def random_probs(space, seed, skips=1.0):
    """Random probabilities, of skip connections `skips` times as large."""
    draw = np.random.default_rng(seed)
    found = {}
    for name, (edges, count) in space.logit_shapes.items():
        table = draw.dirichlet(np.ones(count), size=edges)
        table[:, SKIP] *= skips
        found[name] = table / table.sum(axis=1, keepdims=True)
    return found


def released(table, most):
    """train_search.py of P-DARTS: one operation an edge, two edges a node; the least skip becomes 0, and all again."""
    table = np.array(table)
    while True:
        best, choice, start, kept = table.max(axis=1), table.argmax(axis=1), 0, []
        for count in (2, 3, 4, 5):
            edges = sorted(range(start, start + count), key=lambda edge: best[edge])[-2:]
            kept += sorted(edges)
            start += count
        skips = [edge for edge in kept if choice[edge] == SKIP]
        if len(skips) <= most:
            return [(NAMES[choice[edge]], edge) for edge in kept]
        table[min(skips, key=lambda edge: best[edge]), SKIP] = 0


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_the_released_algorithm(most):
    seen = set()
    for seed in range(20):
        probs = random_probs(DARTS, seed, skips=8.0)
        genotype = LimitedSkips(most)(probs, DARTS)
        edges = DARTS.cell("normal").edges
        expected = [(name, edges[edge].source) for name, edge in released(probs["normal"], most)]
        assert [edge for node in genotype.nodes("normal") for edge in node] == expected
        plain = Argmax()(probs, DARTS)
        assert genotype.nodes("reduce") == plain.nodes("reduce")
        seen.add(sum(name == "skip_connect" for node in plain.nodes("normal") for name, _ in node) > most)
    assert True in seen


def test_a_cell_with_few_skips_is_that_of_the_argmax():
    probs = random_probs(DARTS, 3)
    assert LimitedSkips(8)(probs, DARTS) == Argmax()(probs, DARTS)


def test_all_types_each_by_itself():
    genotype = LimitedSkips(1, None)(random_probs(DARTS, 4, skips=20.0), DARTS)
    for cell_type in ("normal", "reduce"):
        assert sum(name == "skip_connect" for node in genotype.nodes(cell_type) for name, _ in node) == 1


def test_the_input_stays_as_it_is():
    probs = random_probs(DARTS, 5, skips=20.0)
    before = {name: table.copy() for name, table in probs.items()}
    LimitedSkips(0)(probs, DARTS)
    assert all(np.array_equal(before[name], probs[name]) for name in probs)


def test_what_cannot_be_limited_is_refused():
    with pytest.raises(UserError, match="most must be an integer of at least 0"):
        LimitedSkips(-1)
    with pytest.raises(UserError, match="cell_type must be one of cell, or None. Received: 'normal'"):
        LimitedSkips()({"cell": np.full((6, 5), 0.2)}, nas_bench_201())
    space = with_candidates(s2(4, 3), ("skip_connect",))
    alone = {name: np.ones((14, 1)) for name in ("normal", "reduce")}
    with pytest.raises(UserError, match="most=2: edge .* of cell 'normal' has no other candidate"):
        LimitedSkips()(alone, space)


def test_a_candidate_whose_probability_has_underflowed_takes_the_place():
    sure = {name: np.tile([1.0, 0.0], (14, 1)) for name in ("normal", "reduce")}
    genotype = LimitedSkips()(sure, s2(4, 3))
    names = [name for node in genotype.nodes("normal") for name, _ in node]
    assert names.count("skip_connect") == 2 and names.count("sep_conv_3x3") == 6
