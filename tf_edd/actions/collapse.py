"""Warnings for cells that collapse to operations without weights, and for searches that stand still or stay mixed."""

from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.records import rounded
from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.collapse import Overtaken, overtaken
from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS, from_text
from tf_edd.errors import require_count, require_positive, require_share
from tf_edd.part import part
from tf_edd.runtime.file_names import GENOTYPES

DIGITS = 2
CELL, SUPERNET = "accuracy/discretized", "accuracy/valid"


@part(module="tf_edd.actions")
class CollapseWarning(Action):
    """Warns, once each time it begins, of a cell that collapses or of a search that stands still or stays mixed.

    Silent where no architecture logits are learned: the cell of an epoch is then the best of a few random ones.

    Attributes:
        max_share: Share of the edges that each of `skip_connect`, `none` and `noise` may take without a warning: of all
            edges, and of the edges of each cell type.
        lasting: Epochs in a row with a larger share: the argmax of undecided probabilities changes from one to the
            next.
        patience: Epochs without any change of the genotype and of the probabilities (to two digits).
        least_ratio: Accuracy of the discretized network, as a share of the supernet's, below which the end of a search
            is not sparse: the network that was trained is another one than the result.

    Raises:
        UserError: A value is out of range.
    """

    max_share: float = 0.5
    lasting: int = 2
    patience: int = 10
    least_ratio: float = 0.9

    def __post_init__(self):
        require_positive(max_share=self.max_share)
        require_share(max_share=self.max_share, least_ratio=self.least_ratio)
        require_count(lasting=self.lasting, patience=self.patience)

    def begin(self, state: SearchState) -> RunningAction:
        return _CollapseWatch(self)


class _CollapseWatch(RunningAction):
    """Remembers what a search has been warned of."""

    def __init__(self, settings: CollapseWarning):
        self._settings = settings
        self._warned = set()

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        if not state.learns_logits:
            return
        found = self._overtaken(state)
        self._warned &= {"unchanged", *map(_place, found)}  # warned again only after it has stopped
        for operation in COLLAPSE_OPERATIONS:
            begun = [share for share in found if share.operation == operation and _place(share) not in self._warned]
            if begun:
                self._warned.update(map(_place, begun))
                logging.warning(_collapsed(state, operation, begun))
        epochs = unchanged_epochs(_recorded(state))
        if self._begins("unchanged", epochs >= self._settings.patience):
            logging.warning(_unchanged(state, epochs))

    def end(self, state: SearchState) -> None:
        last = state.history[-1]
        if state.learns_logits and last[CELL] < self._settings.least_ratio * last[SUPERNET]:
            logging.warning(_mixed(last))

    def _overtaken(self, state: SearchState) -> list[Overtaken]:
        """The shares of now that were too large in the epochs before as well."""
        share, earlier = self._settings.max_share, self._settings.lasting - 1
        found = overtaken(state.genotype, state.space, share)
        rows = state.history[:-1][-earlier:] if earlier else []
        if len(rows) < earlier:
            return []
        before = [
            {_place(s) for s in overtaken(from_text(row["genotype"], state.space), state.space, share)} for row in rows
        ]
        return [share for share in found if all(_place(share) in places for places in before)]

    def _begins(self, what, occurs: bool) -> bool:
        """Whether something begins to occur; again only after it has stopped."""
        begins = occurs and what not in self._warned
        (self._warned.add if occurs else self._warned.discard)(what)
        return begins


def unchanged_epochs(history: Sequence[Mapping]) -> int:
    """For how many epochs the genotype and, where recorded, the probabilities to two digits are what they are now.

    Read from the history, so that a resumed search continues to count.
    """
    if not history:
        return 0
    last = _rounded(history[-1])
    changes = (i for i, row in enumerate(reversed(history)) if row["genotype"] != history[-1]["genotype"])
    same = next(changes, len(history))
    moved = (i for i in range(same) if _differs(_rounded(history[-1 - i]), last))
    return next(moved, same) - 1


def _recorded(state: SearchState) -> list[Mapping]:
    """The history with the probabilities of its last epoch, which `GenotypeLog` may not have added yet."""
    return [*state.history[:-1], *({"probs": rounded(state.probs), **row} for row in state.history[-1:])]


def _rounded(row: Mapping) -> dict[str, np.ndarray]:
    return {cell_type: np.round(probs, DIGITS) for cell_type, probs in row.get("probs", {}).items()}


def _differs(probs: dict[str, np.ndarray], last: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(probs[cell_type], last[cell_type]) for cell_type in probs.keys() & last.keys())


def _place(share: Overtaken) -> tuple[str, str | None]:
    """What a warning is about: operation and cell type."""
    return share.operation, share.cell_type


def _collapsed(state: SearchState, operation: str, shares: Sequence[Overtaken]) -> str:
    """The warning for these shares of an operation."""
    return (
        f"Epoch {state.epoch}: {operation} takes {', '.join(map(str, shares))}, the cell may be collapsing "
        f"({state.genotype}). To try: a supernet as deep as the final network (in a shallow one the choice between "
        "convolution and skip connection is a coin toss), more images or passes of the weights alone at the start "
        "(Method.warmup_epochs), a temperature that falls more slowly (EntropyDecay.entropy_gain), a clip on the "
        f"architecture gradient. {GENOTYPES} keeps the cells of earlier epochs, and stopper = @HealthyCell() goes back "
        "to the last healthy one"
    )


def _mixed(last: Mapping) -> str:
    """The warning for a search that ends with probabilities that are not sparse."""
    return (
        f"Not sparse: the cell alone reaches an accuracy of {last[CELL]:.3g} on the validation images, the supernet "
        f"{last[SUPERNET]:.3g}, at an entropy of {last['arch/entropy']:.3g}. The weights were trained in a mixture that"
        " the cell is not, so they say little of the cell. To try: more steps (search.steps_per_epoch, epochs), a "
        "temperature that follows the entropy down (methods/edd_darts.gin), a larger EntropyDecay.entropy_gain, or an "
        "architecture learning rate that does not fall before the entropy has"
    )


def _unchanged(state: SearchState, epochs: int) -> str:
    return (
        f"Epoch {state.epoch}: cell and probabilities have not changed for {epochs} epochs ({state.genotype}). With an "
        "entropy near 0 the search has converged and can end. Otherwise the logits do not move: look at "
        "search/logit_gradient_norm in TensorBoard and try a higher architecture learning rate"
    )
