"""DARTS+PT against the released rules, written down once more with made-up accuracies of the supernet.

`project_op` and `project_edge` of sota/cnn/projection.py and nasbench201/projection.py; there the random edge or node
is drawn from the program's generator, here what has been drawn is read from the masks.
"""

import numpy as np
import pytest
from decisions.views import drifting, run

from tf_edd.decisions import PerturbationSelection
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.spaces import darts, nas_bench_201, proxyless

DARTS = darts(4, 3, with_none=False)  # 14 edges, 7 candidates, 2 edges a node
NODES = [range(0, 2), range(2, 5), range(5, 9), range(9, 14)]
NB201 = nas_bench_201()


class Supernet:
    """Made-up losses and accuracies: a quadratic form of the weights, and few values, so that there are ties."""

    def __init__(self, space, seed=0, values=40):
        rng = np.random.default_rng(seed)
        self.sizes = {name: np.prod(shape) for name, shape in space.logit_shapes.items()}
        size = sum(self.sizes.values())
        self.linear, self.form = rng.normal(size=size), rng.normal(size=(size, size)) / size
        self.values, self.asked = values, []

    def __call__(self, weights):
        self.asked.append({name: table.copy() for name, table in weights.items()})
        flat = np.concatenate([np.ravel(weights[name]) for name in self.sizes]).astype(np.float64)
        value = np.tanh(self.linear @ flat * 0.2 + flat @ self.form @ flat)
        return -float(value), float(np.round(value * self.values) / self.values)


def tables(probs, masks):
    """One-hot where one candidate is left, zero where none is; all else as it is."""
    return {
        name: np.where(
            masks[name].sum(axis=1, keepdims=True) == masks[name].shape[1], probs[name], masks[name].astype(np.float32)
        )
        for name in probs
    }


def changed(before, after):
    return np.flatnonzero((before != after).any(axis=1)).tolist()


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_all_projections_on_nas_bench_201(criterion):
    """100 epochs, then 25 with projections at 0, 5, 10, 15, 20 and 24; `none` is a candidate."""
    probs, supernet = drifting(NB201), Supernet(NB201)
    part = PerturbationSelection(criterion, first=100, interval=5)
    masks, notes, _ = run(part, NB201, 125, probs, supernet)
    before, moments = {"cell": np.ones((6, 5), bool)}, []
    for epoch, after in enumerate(masks, start=1):
        if edges := changed(before["cell"], after["cell"]):
            (edge,) = edges
            moments.append(epoch)
            found = []
            for o in range(5):
                weights = tables(probs(epoch), before)
                weights["cell"][edge, o] = 0
                loss, accuracy = supernet(weights)
                found.append(accuracy if criterion == "accuracy" else -loss)
            assert after["cell"][edge].tolist() == [o == found.index(min(found)) for o in range(5)]
        before = after
    assert moments == [100, 105, 110, 115, 120, 124] == [epoch for epoch, _ in notes]
    assert before["cell"].sum(axis=1).tolist() == [1] * 6
    assert len(supernet.asked) == 2 * 6 * 5


def test_all_projections_and_prunings_in_the_darts_space():
    """50 epochs, then 81: 14 rounds of operations, then 3 of edges, each for both cell types in turn."""
    probs, supernet = drifting(DARTS, 2), Supernet(DARTS, 3)
    part = PerturbationSelection(first=50, interval=5)
    masks, notes, _ = run(part, DARTS, 131, probs, supernet)
    current, count = {name: np.ones((14, 7), bool) for name in ("normal", "reduce")}, 0
    for epoch, after in enumerate(masks, start=1):
        due = epoch >= 50 and (epoch - 50) % 5 == 0
        for name in ("normal", "reduce"):  # the second sees what the first has done
            edges = changed(current[name], after[name])
            assert bool(edges) == due
            if not due:
                continue
            current = {**current, name: current[name].copy()}
            if count < 28:
                (edge,) = edges
                found = [accuracy_without(supernet, probs(epoch), current, name, (edge, o)) for o in range(7)]
                current[name][edge] = np.arange(7) == found.index(min(found))
            else:
                (node,) = [node for node in NODES if set(edges) <= set(node)]
                left = list(node)
                while len(left) > 2:
                    found = [accuracy_without(supernet, probs(epoch), current, name, e) for e in left]
                    best = max(e for e, accuracy in zip(left, found, strict=True) if accuracy == max(found))
                    current[name][best] = False
                    left.remove(best)
            np.testing.assert_array_equal(current[name], after[name], err_msg=f"epoch {epoch}, {name}")
            count += 1
    assert count == 34 == len(notes)
    for name, mask in masks[-1].items():
        assert [int(mask[list(node)].sum()) for node in NODES] == [2, 2, 2, 2], name
        assert notes[-1][1].startswith("reduce node ")
    genotype = Argmax()({name: np.where(mask, 1.0, 0.0) for name, mask in masks[-1].items()}, DARTS)
    for name, mask in masks[-1].items():
        cell = DARTS.cell(name)
        kept = [(cell.edges[e].primitives[o], cell.edges[e].source) for e, o in zip(*np.nonzero(mask), strict=True)]
        assert [pair for node in genotype.nodes(name) for pair in node] == kept


def accuracy_without(supernet, probs, masks, name, place):
    weights = tables(probs, masks)
    weights[name][place] = 0
    return supernet(weights)[1]


def test_a_candidate_is_taken_away_without_renormalizing():
    supernet = Supernet(NB201)
    run(PerturbationSelection(first=1), NB201, 8, drifting(NB201), supernet)
    first = drifting(NB201)(1)["cell"]
    for operation, weights in enumerate(supernet.asked[:5]):
        (edge,) = changed(weights["cell"], first)
        np.testing.assert_array_equal(np.delete(weights["cell"][edge], operation), np.delete(first[edge], operation))
        assert weights["cell"][edge, operation] == 0 < first[edge, operation]


def test_ties_go_to_the_lower_candidate_and_to_the_later_edge():
    def same(weights):
        return 1.0, 0.5

    masks, _, _ = run(PerturbationSelection(first=1, interval=1), DARTS, 18, drifting(DARTS), same)
    for name in ("normal", "reduce"):
        assert masks[-1][name][:, 1:].sum() == 0
        assert np.flatnonzero(masks[-1][name][:, 0]).tolist() == [0, 1, 2, 3, 5, 6, 9, 10]


def test_excluded_candidates_are_never_chosen_and_not_asked_for():
    space, supernet = darts(4, 3), Supernet(darts(4, 3))
    masks, _, _ = run(PerturbationSelection(first=1, interval=1), space, 18, drifting(space), supernet)
    names = space.cells[0].edges[0].primitives
    assert space.cells[0].excluded == ("none",) and len(names) == 8
    assert not any(mask[:, names.index("none")].any() for mask in masks[-1].values())
    assert len(supernet.asked) == 2 * (14 * 7 + 3 + (4 + 3) + (5 + 4 + 3))


def test_edges_are_drawn_from_the_seed_and_the_epoch():
    def order(seed):
        masks, _, _ = run(PerturbationSelection(first=1, interval=1), NB201, 7, drifting(NB201), Supernet(NB201), seed)
        steps = [{"cell": np.ones((6, 5), bool)}, *masks]
        return [
            changed(a["cell"], b["cell"])[0]
            for a, b in zip(steps, steps[1:], strict=False)
            if (a["cell"] != b["cell"]).any()
        ]

    orders = [tuple(order(seed)) for seed in range(12)]
    assert orders[0] == tuple(order(0)) and all(sorted(found) == list(range(6)) for found in orders)
    assert len(set(orders)) > 8 and {found[0] for found in orders} > {0, 5}


def test_a_short_search_makes_several_rounds_at_once():
    masks, notes, _ = run(PerturbationSelection(), DARTS, 5, drifting(DARTS), Supernet(DARTS))
    assert {epoch for epoch, _ in notes} == {4} and len(notes) == 34
    assert all(mask.sum() == 8 for mask in masks[-1].values())


def test_all_blocks_of_a_chain_are_projected_one_after_the_other():
    space = proxyless((4, 6), (2, 2), (1, 2), 3, 1, 4, 5)
    supernet = Supernet(space)
    masks, notes, _ = run(PerturbationSelection(), space, 10, drifting(space), supernet)
    assert {epoch for epoch, _ in notes} == {8} and {int(mask.sum()) for mask in masks[-1].values()} == {1}
    last = supernet.asked[-1]  # all but the last block are one-hot by then
    assert sum((table.max() == 1) for table in last.values()) == len(space.cells) - 1


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"criterion": "acc"}, "criterion must be one of 'accuracy', 'loss'. Received: criterion='acc'"),
        ({"first": 0}, "first must be an integer of at least 1 or None. Received: first=0"),
        ({"interval": True}, "interval must be an integer or None. Received: interval=True"),
    ],
)
def test_refuses(fields, told):
    with pytest.raises(UserError, match=told):
        PerturbationSelection(**fields)


def test_refuses_a_search_that_ends_before_its_decisions():
    PerturbationSelection(first=100, interval=5).check(NB201, 125)
    with pytest.raises(
        UserError, match="17 rounds of decisions need search.epochs of at least 180. Received: first=100"
    ):
        PerturbationSelection(first=100, interval=5).check(DARTS, 125)
