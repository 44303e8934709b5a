"""Perturbation-based selection (DARTS+PT): an edge takes the candidate whose removal hurts the supernet most."""

from collections.abc import Iterator

import numpy as np

from tf_edd.decisions.decisions import (
    Decision,
    Tables,
    View,
    check_decision_epochs,
    check_moments,
    decision_epochs,
    undecided_edges,
    weights_of,
)
from tf_edd.errors import require_one_of
from tf_edd.part import part
from tf_edd.spaces.space import CellSpec, Space

CRITERIA = ("accuracy", "loss")
SHARE = 0.8  # of the epochs before the projection; released on NAS-Bench-201: 100 of 125
_DRAWS = 0x5054  # its stream of random numbers


@part(module="tf_edd.decisions")
class PerturbationSelection:
    """Each round projects one random edge, or prunes one random node, of every cell type; then the supernet is tuned.

        o_e = argmin_o ACC(supernet without o in edge e)

    The weight of the candidate is set to 0, the others of the edge are not renormalized. Candidates that the cell
    excludes are never chosen. When all edges of a cell type are projected, its nodes of more than `edges_per_node`
    edges follow: while there are too many, the edge goes without which the accuracy is highest. Ties go to the lower
    index of a candidate, and to the higher one of an edge. Accuracies are those of the whole validation split, without
    augmentation (the released code evaluates augmented images). Cell types take turns within a round, and each sees
    what the one before has decided. Edges and nodes are drawn from the seed and the epoch.

    In the epochs between two rounds the steps of the method go on, with its learning rates. The released code restarts
    SGD at a tenth of the first rate for them: a `SequenceRate` does so here, with the momentum that is there.

    Attributes:
        criterion: "accuracy", or "loss": the candidate without which the loss is highest.
        first: Epochs before the first round; None for four fifths of the search.
        interval: Epochs from round to round; None for equal parts of the rest. Released: first = 100, interval = 5 and
            125 epochs on NAS-Bench-201; 50, 5 and 131 in the DARTS space. At least one epoch follows the last round.

    Raises:
        UserError: An unknown criterion, a number that is not an integer of at least 1, or (from `check`) too few epochs
            for the decisions.

    Source: Wang et al., "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021, arXiv 2108.04392;
    released code, `nasbench201/projection.py` and `sota/cnn/projection.py`.
    """

    criterion: str = "accuracy"
    first: int | None = None
    interval: int | None = None

    def __post_init__(self):
        require_one_of(CRITERIA, criterion=self.criterion)
        check_moments(self.first, self.interval)

    def check(self, space: Space, epochs: int) -> None:
        check_decision_epochs(_rounds(space), epochs, self.first, self.interval, SHARE)

    def __call__(self, view: View) -> Decision:
        allowed = {name: mask.copy() for name, mask in view.allowed.items()}
        moments = decision_epochs(_rounds(view.space), view.epochs, self.first, self.interval, SHARE)
        notes = []
        for number in [k for k, moment in enumerate(moments) if moment == view.epoch]:
            for index, cell in enumerate(view.space.cells):
                rng = np.random.default_rng(np.random.SeedSequence([view.seed, _DRAWS, view.epoch, number, index]))
                notes += self._decide(view, allowed, cell, rng)
        return Decision(allowed, tuple(notes))

    def _decide(self, view: View, allowed: Tables, cell: CellSpec, rng) -> Iterator[str]:
        """One decision in the masks, and what to say of it."""
        mask = allowed[cell.cell_type]
        if len(edges := undecided_edges(mask)):
            yield self._project(view, allowed, cell, int(rng.choice(edges)))
        elif nodes := [node for node in cell.intermediate_nodes if _surplus(mask, cell, node) > 0]:
            yield self._prune(view, allowed, cell, int(rng.choice(nodes)))

    def _project(self, view: View, allowed: Tables, cell: CellSpec, index: int) -> str:
        mask, edge = allowed[cell.cell_type], cell.edges[index]
        choices = np.flatnonzero(mask[index] & np.array(cell.allowed[index]))
        found = [self._without(view, allowed, cell, (index, operation)) for operation in choices]
        best = int(choices[np.argmin(found)])
        mask[index] = np.arange(mask.shape[1]) == best
        told = ", ".join(f"{edge.primitives[o]} {abs(value):.4g}" for o, value in zip(choices, found, strict=True))
        where = f"{cell.cell_type} {edge.source}->{edge.target}"
        return f"{where}: {edge.primitives[best]} ({self.criterion} without each: {told})"

    def _prune(self, view: View, allowed: Tables, cell: CellSpec, node: int) -> str:
        mask, told = allowed[cell.cell_type], []
        while _surplus(mask, cell, node) > 0:
            edges = [e for e in cell.incoming(node) if mask[e].any()]
            found = [self._without(view, allowed, cell, e) for e in edges]
            last = len(edges) - 1 - int(np.argmax(found[::-1]))
            mask[edges[last]] = False
            told.append(f"{cell.edges[edges[last]].source} ({self.criterion} {abs(found[last]):.4g} without it)")
        return f"{cell.cell_type} node {node}: without the edges from {', '.join(told)}"

    def _without(self, view: View, allowed: Tables, cell: CellSpec, place) -> float:
        """How good the supernet is without an edge, or a candidate of it: its accuracy, or minus its loss."""
        weights = weights_of(view.probs, allowed)
        weights[cell.cell_type][place] = 0.0
        loss, accuracy = view.evaluate(weights)
        return accuracy if self.criterion == "accuracy" else -loss


def _surplus(mask: np.ndarray, cell: CellSpec, node: int) -> int:
    """How many edges the node has to lose."""
    left = int(mask[list(cell.incoming(node))].any(axis=1).sum())
    return 0 if cell.edges_per_node is None else left - cell.edges_per_node


def _rounds(space: Space) -> int:
    """Projections and prunings of the cell type with the most of them."""

    def count(cell):
        full = np.ones((len(cell.edges), 1), bool)
        return len(cell.edges) + sum(_surplus(full, cell, node) > 0 for node in cell.intermediate_nodes)

    return max(map(count, space.cells))
