"""Warnings for cells that collapse to operations without weights, and for searches that stand still."""

from collections.abc import Mapping, Sequence

import gin
import numpy as np
from absl import logging

from tf_edd.actions.action import check_at_least_one
from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.genotype import IDLE, Genotype
from tf_edd.errors import UserError

DIGITS = 2


class _CollapseWarning:
    """See `collapse_warning`."""

    def __init__(self, max_share: float, patience: int):
        self._max_share = max_share
        self._patience = patience
        self._warned = set()

    def begin(self, state: SearchState) -> None:
        """Nothing to judge yet."""

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Judges the current cell; not one that sampled paths have met by chance."""
        if state.relaxation is None:
            return
        for operation in IDLE:
            shares = [(kind, *_share(state.genotype, operation, kind)) for kind in _judged(state)]
            begun = [
                (kind, taken, edges)
                for kind, taken, edges in shares
                if self._begins((operation, kind), taken > self._max_share * edges)
            ]
            if begun:
                logging.warning(_collapsed(state, operation, begun))
        epochs = unchanged_epochs(state.history)
        if self._begins("unchanged", epochs >= self._patience):
            logging.warning(_unchanged(state, epochs))

    def end(self, state: SearchState) -> None:
        """Nothing is left to do."""

    def _begins(self, what, occurs: bool) -> bool:
        """Whether something begins to occur; again only after it has stopped."""
        begins = occurs and what not in self._warned
        (self._warned.add if occurs else self._warned.discard)(what)
        return begins


def unchanged_epochs(history: Sequence[Mapping]) -> int:
    """For how many epochs the genotype and, where recorded, the probabilities to two digits are what they are now.

    Read from the history, so that a continued search counts on.
    """
    if not history:
        return 0
    last = _rounded(history[-1])
    changes = (i for i, row in enumerate(reversed(history)) if row["genotype"] != history[-1]["genotype"])
    same = next(changes, len(history))
    moved = (i for i in range(same) if _differs(_rounded(history[-1 - i]), last))
    return next(moved, same) - 1


def _rounded(row: Mapping) -> dict[str, np.ndarray]:
    return {kind: np.round(probs, DIGITS) for kind, probs in row.get("probs", {}).items()}


def _differs(probs: dict[str, np.ndarray], last: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(probs[kind], last[kind]) for kind in probs.keys() & last.keys())


def _judged(state: SearchState) -> list[str | None]:
    """All cell kinds together (None), and each of several; not the single edges of a chain."""
    kinds = [kind for kind, _ in state.genotype.cells]
    return [None, *kinds] if len(kinds) > 1 and not state.space.is_chain else [None]


def _share(genotype: Genotype, operation: str, kind: str | None) -> tuple[int, int]:
    """Edges with this operation, and all edges."""
    return genotype.count(operation, kind), len(genotype.operations(kind))


def _collapsed(state: SearchState, operation: str, shares) -> str:
    """Names what `_judged` has found: (kind or None, edges with the operation, edges)."""
    parts = [f"{taken} of {edges} edges" + (f" of cell {kind!r}" if kind else "") for kind, taken, edges in shares]
    return (
        f"Epoch {state.epoch}: {operation} takes {', '.join(parts)}, the cell may be collapsing ({state.genotype}). "
        "To try: a temperature that falls more slowly (entropy_decay.entropy_gain), a lower architecture learning "
        "rate, epochs at the start in which only the weights learn (search.frozen_epochs), or a clip on the "
        "architecture gradient. genotypes.jsonl keeps the cells of earlier epochs"
    )


def _unchanged(state: SearchState, epochs: int) -> str:
    return (
        f"Epoch {state.epoch}: cell and probabilities have not changed for {epochs} epochs ({state.genotype}). With an "
        "entropy near 0 the search has converged and can end. Otherwise the logits do not move: look at "
        "arch/logit_gradient_norm in TensorBoard and try a higher architecture learning rate"
    )


@gin.configurable(module="tf_edd.actions")
def collapse_warning(max_share: float = 0.5, patience: int = 10) -> _CollapseWarning:
    """Warns, once each time it begins, of a cell that collapses or a search that stands still.

    Silent where there are no architecture logits: the cell of an epoch is then one of some that were drawn.

    Args:
        max_share: share of the edges that each of `skip_connect`, `none` and `noise` may take without a warning: of all
            edges, and of those of each cell kind.
        patience: epochs without any change of the genotype and of the probabilities (to two digits).

    Raises:
        UserError: a value out of range.
    """
    if not 0 < max_share <= 1:
        raise UserError(f"max_share must lie in (0, 1]. Received: max_share={max_share!r}")
    check_at_least_one(patience=patience)
    return _CollapseWarning(max_share, patience)
