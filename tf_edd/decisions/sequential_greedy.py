"""SGAS: the most certain edge is decided, one after the other."""

import numpy as np

from tf_edd.decisions.decisions import (
    Decision,
    View,
    check_decision_epochs,
    check_moments,
    decision_epochs,
    undecided_edges,
)
from tf_edd.errors import require_count, require_positive
from tf_edd.part import part
from tf_edd.spaces.space import CellSpec, Space

NONE = "none"
SHARE = 0.2  # of the epochs before the first decision; released: after 10 of 50


@part(module="tf_edd.decisions")
class SequentialGreedy:
    """Each round decides the edge of the highest score in every cell type (SGAS).

        I_e = sum_o p_eo                                 importance: over all candidates but `none`
        S_e = 1 - H(q_e) / ln O_e,  q_e = p_e / I_e      selection certainty
        T_e = mean_k sum_o min(q_eo, q_eo^(k))           selection stability: over the last `history` epochs; 0 before
        score = n(I) n(S), and with `stability` n(I) n(S) n(T);    operation = argmax_o q_eo

    n is the min-max normalization over all edges of the cell type, decided or not; it gives 0 where all are equal. p
    are the noise-free weights of the search; a decided edge has those of its resting logits. O_e counts the candidates
    without `none`, which is never chosen. In a cell without any `none` the importance is 1 for all edges, and left out
    of the score. A node with as many decided edges as it keeps in the final network loses its others. Ties go to the
    lower index.

    Attributes:
        stability: Criterion 2 instead of criterion 1.
        history: Epochs that the stability looks back.
        first: Epochs before the first round; None for a fifth of the search, counted from the end of its warm-up.
        interval: Epochs from round to round; None for equal parts of the rest. With 50 epochs in the DARTS space both
            None are the released schedule: after 10, 15, ..., 45 epochs.
        warmup_epochs: Those of the method, in which no logit moves, so that they cannot decide anything.

    Raises:
        UserError: A number that is not an integer of at least 1, a negative warm-up, or (from `check`) too few epochs
            for the decisions.

    Source: Li et al., "SGAS: Sequential Greedy Architecture Search", CVPR 2020, arXiv 1912.00195; released code,
    `cnn/train_search.py`. That code adds 8 images to both batches after each round; here they stay as they are.
    """

    stability: bool = False
    history: int = 4
    first: int | None = None
    interval: int | None = None
    warmup_epochs: float = 0

    def __post_init__(self):
        require_count(history=self.history)
        if self.warmup_epochs != 0:
            require_positive(" or 0", warmup_epochs=self.warmup_epochs)
        check_moments(self.first, self.interval)

    def check(self, space: Space, epochs: int) -> None:
        check_decision_epochs(_rounds(space), epochs, self.first, self.interval, self._share(epochs))

    def __call__(self, view: View) -> Decision:
        allowed, notes, memory = {}, [], {}
        share = self._share(view.epochs)
        moments = decision_epochs(_rounds(view.space), view.epochs, self.first, self.interval, share)
        for cell in view.space.cells:
            name = cell.cell_type
            importance, shares = selection(view.probs[name], cell)
            past = [np.asarray(table) for table in view.memory.get(name, ())]
            score = scores(importance, shares, cell, past if self.stability else None)
            allowed[name] = view.allowed[name].copy()
            for _ in range(moments.count(view.epoch)):
                notes += _decide(allowed[name], score, shares, cell)
            if self.stability:
                memory[name] = [table.tolist() for table in [*past, shares][-self.history :]]
        return Decision(allowed, tuple(notes), memory)

    def _share(self, epochs: int) -> float:
        """Of the epochs, before the first round."""
        warmup = min(self.warmup_epochs, epochs)
        return (warmup + SHARE * (epochs - warmup)) / epochs


def selection(probs: np.ndarray, cell: CellSpec) -> tuple[np.ndarray, np.ndarray]:
    """Importance I [E] of the edges, and the distribution q [E, O] of their operation; 0 for what is never chosen."""
    probs, choices = np.asarray(probs, np.float64) * choosable(cell), choosable(cell)
    importance = probs.sum(axis=1)
    even = choices / choices.sum(axis=1, keepdims=True)  # where `none` has taken everything
    shares = np.divide(probs, importance[:, None], out=even, where=importance[:, None] > 0)
    return importance, shares


def choosable(cell: CellSpec) -> np.ndarray:
    """[E, O] bool: what may be chosen, without `none` where an edge has anything else."""
    allowed = np.array(cell.allowed)
    others = allowed & np.array([[name != NONE for name in edge.primitives] for edge in cell.edges])
    return np.where(others.any(axis=1, keepdims=True), others, allowed)


def scores(importance: np.ndarray, shares: np.ndarray, cell: CellSpec, past=None) -> np.ndarray:
    """The score of each edge, [E]; `past` are the q of earlier epochs, None without stability."""
    counts = choosable(cell).sum(axis=1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    certainty = 1 - entropy / np.log(np.maximum(counts, 2))
    factors = [normalized(certainty)]
    if any(NONE in edge.primitives for edge in cell.edges):
        factors.append(normalized(importance))
    if past is not None:
        overlaps = [np.minimum(shares, table).sum(axis=1) for table in past]
        factors.append(normalized(np.mean(overlaps, axis=0) if overlaps else np.zeros(len(shares))))
    return np.prod(factors, axis=0)


def normalized(values: np.ndarray) -> np.ndarray:
    """(v - min) / (max - min), or zeros where all are equal."""
    spread = np.ptp(values)
    return (values - values.min()) / spread if spread > 0 else np.zeros_like(values)


def _rounds(space: Space) -> int:
    """Decisions that the cell type with the most of them needs."""
    return max(sum(_kept(cell, node) for node in cell.intermediate_nodes) for cell in space.cells)


def _kept(cell: CellSpec, node: int) -> int:
    """Incoming edges of a node of the final network."""
    incoming = len(cell.incoming(node))
    return incoming if cell.edges_per_node is None else min(incoming, cell.edges_per_node)


def _decide(allowed: np.ndarray, score: np.ndarray, shares: np.ndarray, cell: CellSpec) -> list[str]:
    """Decides one edge in the mask of a cell type, and closes its node if that is full; returns what to say."""
    edges = undecided_edges(allowed)
    if not len(edges):
        return []
    chosen = edges[np.argmax(score[edges])]
    operation, edge = int(np.argmax(shares[chosen])), cell.edges[chosen]
    allowed[chosen] = np.arange(allowed.shape[1]) == operation
    incoming = list(cell.incoming(edge.target))
    note = f"{cell.cell_type} {edge.source}->{edge.target}: {edge.primitives[operation]}, score {score[chosen]:.3g}"
    if np.sum(allowed[incoming].sum(axis=1) == 1) >= _kept(cell, edge.target):
        others = [e for e in undecided_edges(allowed) if e in incoming]
        allowed[others] = False
        note += f"; without {', '.join(f'{cell.edges[e].source}->{edge.target}' for e in others)}" if others else ""
    return [note]
