"""What a stopper is: it ends a search, or chooses the epoch whose cell is its result."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from tf_edd.spaces.space import Space


class Verdict(NamedTuple):
    """The end of a search.

    Attributes:
        epoch: the epoch, from 1, whose cell is the result.
        reason: why, for people; a clause without a full stop.
    """

    epoch: int
    reason: str


@runtime_checkable
class ReadsMetrics(Protocol):
    """A stopper that needs metrics which an action measures; a search without such an action is refused."""

    reads: tuple[str, ...]
    """Their tags."""


class Stopper(Protocol):
    """Asked after each epoch whether the search ends, and after the last one which epoch counts."""

    def __call__(self, history: Sequence[Mapping], space: Space, epochs: int) -> Verdict | None:
        """The verdict after the last epoch of `history`, or None: to go on, and in the end to take the last cell.

        Args:
            history: one dict for each finished epoch: `epoch`, `genotype` (a text) and the metrics.
            space: the search space.
            epochs: length of the search.

        Raises:
            UserError: the search has ended without a cell that can be its result.
        """
