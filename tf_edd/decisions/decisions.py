"""What decides edges in the course of a search: the interface, and when decisions are due."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tf_edd.architectures.mask import restricted
from tf_edd.errors import UserError, require_count
from tf_edd.spaces.space import Space

Tables = dict[str, np.ndarray]  # cell type -> [E, O]


@dataclasses.dataclass(frozen=True)
class View:
    """What decisions see after an epoch.

    Attributes:
        space: The search space.
        seed: Of the search; what is drawn comes from (seed, epoch).
        epoch: Finished epochs, from 1.
        epochs: Length of the search.
        probs: Cell type -> noise-free weights of the candidates [E, O], of all edges as if nothing were decided.
        allowed: Cell type -> which candidates are allowed, [E, O] bool.
        history: One dict for each earlier epoch, see `SearchState.history`; that of this epoch is not measured yet.
        memory: What the last `Decision` has asked to remember; empty at first.
        evaluate: Weights of the candidates -> loss and accuracy of the supernet on the whole validation split, without
            augmentation, with the statistics of the batches (unless `Method.running_statistics`).
    """

    space: Space
    seed: int
    epoch: int
    epochs: int
    probs: Tables
    allowed: Tables
    history: Sequence[Mapping]
    memory: dict
    evaluate: Callable[[Mapping[str, np.ndarray]], tuple[float, float]]

    def accuracy(self, weights: Mapping[str, np.ndarray]) -> float:
        """Of the supernet with these weights of its candidates, on the validation split."""
        return self.evaluate(weights)[1]


class Decision(NamedTuple):
    """What is decided after an epoch.

    Attributes:
        allowed: Cell type -> which candidates remain allowed, [E, O] bool. An edge with one is decided, an edge with
            none is removed, and neither opens again.
        notes: What has been decided, for people, one text each.
        memory: What the next `View` is to bring: plain numbers, texts, lists and dicts of them. A checkpoint keeps it.
    """

    allowed: Tables
    notes: tuple[str, ...] = ()
    memory: dict = {}


class Decisions(Protocol):
    """Decides edges in the course of a search: a frozen dataclass without a state of its own."""

    def check(self, space: Space, epochs: int) -> None:
        """Raises UserError for a space, or a number of epochs, that it cannot take; called before anything is built."""

    def __call__(self, view: View) -> Decision:
        """The decisions after an epoch; asked after each, before its architecture and accuracies are measured."""


def weights_of(probs: Mapping[str, np.ndarray], allowed: Mapping[str, np.ndarray]) -> Tables:
    """Cell type -> the weights of the candidates [E, O] with which the supernet would run under a mask."""
    tables = {name: restricted(value, np.asarray(allowed[name], np.float32)) for name, value in probs.items()}
    return {name: table.numpy() + 0.0 for name, table in tables.items()}  # without negative zeros


def undecided_edges(allowed: np.ndarray) -> np.ndarray:
    """The edges with more than one allowed candidate, of a mask [E, O]."""
    return np.flatnonzero(np.sum(allowed, axis=1) > 1)


def decision_epochs(rounds: int, epochs: int, first: int | None, interval: int | None, share: float) -> list[int]:
    """Finished epochs after which each of so many rounds of decisions is made.

        first + k interval,    k = 0, ..., rounds - 1

    At least one epoch follows the last round, which for that may come sooner than the interval says.

    Args:
        rounds: How many.
        epochs: Length of the search.
        first: Epochs before the first round; None for this `share` of the epochs.
        interval: Epochs from round to round; None for equal parts of what `first` leaves, rounded down.
        share: See `first`.
    """
    begin = _begin(epochs, first, share)
    steps = (k * (epochs - begin) // rounds if interval is None else k * interval for k in range(rounds))
    return [min(begin + step, max(1, epochs - 1)) for step in steps]


def _begin(epochs: int, first: int | None, share: float) -> int:
    return max(1, round(share * epochs)) if first is None else first


def check_moments(first: int | None, interval: int | None) -> None:
    """Raises UserError for numbers of epochs that are not integers of at least 1, or None."""
    given = {"first": first, "interval": interval}
    require_count(note=" or None", **{name: value for name, value in given.items() if value is not None})


def check_decision_epochs(rounds: int, epochs: int, first: int | None, interval: int | None, share: float) -> None:
    """Raises UserError for a search that ends before all its decisions are made."""
    begin = _begin(epochs, first, share)
    needed = max(0 if first is None else begin + 1, 0 if interval is None else begin + (rounds - 1) * interval)
    if needed > epochs:
        raise UserError(
            f"{rounds} rounds of decisions need search.epochs of at least {needed}. Received: first={first!r}, "
            f"interval={interval!r}, search.epochs={epochs}"
        )
