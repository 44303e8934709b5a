"""SGAS against the released rules, written down once more: `edge_decision` and `check_edges` of cnn/train_search.py."""

import math

import numpy as np
import pytest
from decisions.views import drifting, run

from tf_edd.decisions import SequentialGreedy
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.spaces import darts, nas_bench_201, proxyless, s2

DARTS = darts(4, 3)  # 14 edges, 8 candidates with `none` first, 2 edges a node
REMOVED = -2


def rescaled(values):
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


class Released:
    """One cell type of the released search, with lists of numbers; `none` is candidate 0."""

    def __init__(self, nodes, keep, criterion):
        self.nodes, self.keep, self.criterion = nodes, keep, criterion  # nodes: edges of each
        self.chosen = {}
        self.history = []

    def epoch(self, probs, decide):
        importance = [sum(row[1:]) for row in probs]
        shares = [[p / total for p in row[1:]] for row, total in zip(probs, importance, strict=True)]
        entropies = [-sum(q * math.log(q) for q in row) / math.log(len(row)) for row in shares]
        factors = [rescaled(importance), rescaled([1 - h for h in entropies])]
        if self.criterion == 2:
            overlap = [
                sum(sum(map(min, old[e], row)) for old in self.history) / len(self.history) if self.history else 0.0
                for e, row in enumerate(shares)
            ]
            factors.append(rescaled(overlap))
            self.history = [*self.history, shares][-4:]
        left = [e for e in range(len(probs)) if e not in self.chosen]
        if not decide or not left:
            return
        score = {e: math.prod(factor[e] for factor in factors) for e in left}
        edge = max(left, key=lambda e: score[e])
        self.chosen[edge] = shares[edge].index(max(shares[edge])) + 1
        for edges in self.nodes:
            if sum(self.chosen.get(e, REMOVED) != REMOVED for e in edges) >= self.keep:
                self.chosen |= {e: REMOVED for e in edges if e not in self.chosen}

    def mask(self, shape):
        table = np.ones(shape, bool)
        for edge, operation in self.chosen.items():
            table[edge] = np.arange(shape[1]) == operation
        return table


@pytest.mark.parametrize("criterion", [1, 2])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_decisions_of_a_search_in_the_darts_space(criterion, seed):
    """After training epochs 9, 14, ..., 44 of 50, counted from 0; one edge of each cell type."""
    probs, nodes = drifting(DARTS, seed), [range(0, 2), range(2, 5), range(5, 9), range(9, 14)]
    masks, notes, _ = run(SequentialGreedy(stability=criterion == 2), DARTS, 50, probs)
    released = {name: Released(nodes, 2, criterion) for name in ("normal", "reduce")}
    for number, found in enumerate(masks):
        for name, cell in released.items():
            table = probs(number + 1)[name].astype(np.float64).tolist()
            cell.epoch(table, number >= 9 and (number - 9) % 5 == 0)
            np.testing.assert_array_equal(found[name], cell.mask((14, 8)), err_msg=f"epoch {number}, {name}")
    left = {name: mask.sum(axis=1) for name, mask in masks[-1].items()}
    assert all(np.bincount(counts).tolist() == [6, 8] for counts in left.values())
    assert [epoch for epoch, _ in notes] == [e for e in range(10, 50, 5) for _ in range(2)]
    genotype = Argmax()({name: np.where(mask, 1.0, 0.0) for name, mask in masks[-1].items()}, DARTS)
    names = DARTS.cells[0].edges[0].primitives
    for name, cell in released.items():
        chosen = sorted((e, o) for e, o in cell.chosen.items() if o != REMOVED)
        nodes_found = [pair for node in genotype.nodes(name) for pair in node]
        sources = [DARTS.cell(name).edges[e].source for e, _ in chosen]
        assert nodes_found == [(names[o], source) for (_, o), source in zip(chosen, sources, strict=True)]
        assert "none" not in genotype.operations(name)


@pytest.mark.parametrize("criterion", [1, 2])
def test_on_nas_bench_201_every_edge_is_decided_and_none_removed(criterion):
    space = nas_bench_201()
    probs, released = drifting(space, 4), Released([range(0, 1), range(1, 3), range(3, 6)], 9, criterion)
    masks, _, _ = run(SequentialGreedy(stability=criterion == 2, first=10, interval=5), space, 50, probs)
    for number, found in enumerate(masks):
        released.epoch(probs(number + 1)["cell"].astype(np.float64).tolist(), number in range(9, 35, 5))
        np.testing.assert_array_equal(found["cell"], released.mask((6, 5)))
    assert masks[-1]["cell"].sum(axis=1).tolist() == [1] * 6 and not masks[-1]["cell"][:, 0].any()


def test_the_stability_is_of_the_last_four_epochs():
    _, _, memory = run(SequentialGreedy(stability=True, history=4), DARTS, 7, drifting(DARTS))
    assert {name: len(tables) for name, tables in memory.items()} == {"normal": 4, "reduce": 4}
    shares = drifting(DARTS)(7)["normal"].astype(np.float64)[:, 1:]
    np.testing.assert_allclose(np.array(memory["normal"][-1])[:, 1:], shares / shares.sum(axis=1, keepdims=True))
    assert run(SequentialGreedy(), DARTS, 7, drifting(DARTS))[2] == {}


def test_without_none_the_certainty_decides():
    """All importances are 1 there, whose min-max normalization would make all scores 0. S2: 2 candidates an edge."""
    space = s2(4, 3)
    probs = {name: np.full(shape, 0.5, np.float32) for name, shape in space.logit_shapes.items()}
    for table, edge in zip(probs.values(), (7, 3), strict=True):
        table[edge] = 0.1, 0.9
    masks, notes, _ = run(SequentialGreedy(first=1, interval=5), space, 41, lambda epoch: probs)
    for (name, mask), edge in zip(masks[0].items(), (7, 3), strict=True):
        assert np.flatnonzero(mask.sum(axis=1) == 1).tolist() == [edge], name
        assert mask[edge].tolist() == [False, True]
    assert notes[0][1].startswith("normal 2->4: sep_conv_3x3, score 1")


def test_what_has_underflowed_is_decided_too():
    """At a small temperature `none` may have everything, and entropies are 0."""
    space = nas_bench_201()
    probs = np.eye(5, dtype=np.float32)[[0, 0, 1, 2, 3, 4]]
    masks, _, _ = run(SequentialGreedy(True), space, 10, lambda epoch: {"cell": probs})
    assert masks[-1]["cell"].argmax(axis=1).tolist() == [1, 1, 1, 2, 3, 4]
    assert masks[-1]["cell"].sum() == 6


def test_all_blocks_of_a_chain_are_decided_at_once():
    space = proxyless((4, 6), (2, 2), (1, 2), 3, 1, 4, 5)
    masks, notes, _ = run(SequentialGreedy(), space, 10, drifting(space))
    before, after = ({int(mask.sum()) for mask in masks[epoch].values()} for epoch in (0, 1))
    assert 1 not in before and after == {1} and {epoch for epoch, _ in notes} == {2}


@pytest.mark.parametrize("warmup, expected", [(5, [9, 11, 14, 17, 19, 22]), (0, [5, 8, 11, 15, 18, 21])])
def test_nothing_is_decided_by_logits_that_have_not_moved(warmup, expected):
    """recipes/nb201_small.gin: 25 epochs, of which 5 of the weights alone; a fifth of the other 20 is 4."""
    _, notes, _ = run(SequentialGreedy(warmup_epochs=warmup), nas_bench_201(), 25, drifting(nas_bench_201()))
    assert [epoch for epoch, _ in notes] == expected


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"history": 0}, "history must be an integer of at least 1. Received: history=0"),
        ({"warmup_epochs": -1}, "warmup_epochs must be a positive number or 0. Received: warmup_epochs=-1"),
        ({"first": 0}, "first must be an integer of at least 1 or None. Received: first=0"),
        ({"interval": 2.5}, "interval must be an integer or None. Received: interval=2.5"),
    ],
)
def test_refuses_numbers_that_are_no_epochs(fields, told):
    with pytest.raises(UserError, match=told):
        SequentialGreedy(**fields)


@pytest.mark.parametrize("fields, epochs, needed", [({"interval": 5}, 40, 43), ({"first": 9}, 9, 10)])
def test_refuses_a_search_that_ends_before_its_decisions(fields, epochs, needed):
    """8 rounds, the first after 8 epochs of 40: 8 + 7 * 5 = 43."""
    with pytest.raises(UserError, match=f"8 rounds of decisions need search.epochs of at least {needed}. Received: "):
        SequentialGreedy(**fields).check(DARTS, epochs)
