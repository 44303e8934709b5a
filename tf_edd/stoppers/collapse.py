"""What becomes of a search whose cells collapse."""

from collections.abc import Callable, Mapping, Sequence

from tf_edd.architectures.collapse import overtaken
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError, require_count, require_positive, require_share
from tf_edd.part import part
from tf_edd.spaces.space import Space
from tf_edd.stoppers.stopper import Verdict

CELL, SUPERNET, ARCH_LOSS = "accuracy/discretized", "accuracy/valid", "loss/arch"
ADVICE = (
    "To try: with a few hundred images, which the weights soon know by heart, all of them for weights and logits "
    "(search.split = (1.0, None)); else more steps before the architecture moves (Method.warmup_epochs), a temperature "
    "that falls more slowly (EntropyDecay.entropy_gain), more steps in all (search.steps_per_epoch), or a clip on the "
    "architecture gradient (arch_gradient_clip)"
)


class CollapsedSearch(UserError):
    """A search that has ended without any healthy cell. Programs exit with status 3."""

    status = 3


@part(module="tf_edd.stoppers")
class HealthyCell:
    """Takes the cell of the last healthy epoch, and ends a search that stays unhealthy.

    An epoch is healthy if none of `skip_connect`, `none` and `noise` has more than `max_share` of the edges of its
    cell, of all and of each cell type, and if the cell alone has `least_ratio` of the supernet's accuracy: below it,
    the weights were trained in a mixture that the cell is not. If no epoch has that ratio, the shares alone count. The
    epochs in which the weights alone have learned do not count: their cell is that of the initial logits.

    Attributes:
        max_share: Largest share of the edges that each of these operations may take, in (0, 1].
        patience: Unhealthy epochs in a row after which the search ends, if an earlier one was healthy; None to search
            to the last epoch.
        least_ratio: Least accuracy of the discretized network as a share of the supernet's, in (0, 1]; None not to
            look at it. Both are read from the metrics of the epochs.

    Raises:
        UserError: A value out of range.
    """

    max_share: float = 0.5
    patience: int | None = 5
    least_ratio: float | None = None

    def __post_init__(self):
        require_positive(max_share=self.max_share)
        require_share(max_share=self.max_share)
        if self.patience is not None:
            require_count(note=" or None", patience=self.patience)
        if self.least_ratio is not None:
            require_positive(note=" or None", least_ratio=self.least_ratio)
            require_share(least_ratio=self.least_ratio)

    def __call__(self, history: Sequence[Mapping], space: Space, epochs: int) -> Verdict | None:
        """See `Stopper`.

        Raises:
            CollapsedSearch: The last epoch is done, and in none the shares were healthy.
        """
        ended = len(history) >= epochs
        healthy = self._last(history, space, self._apart)
        if healthy is None and ended:
            healthy = self._last(history, space)
            if healthy is None:
                raise CollapsedSearch(self._no_epoch(history, space))
        unhealthy = len(history) - (healthy["epoch"] if healthy else 0)
        given_up = healthy is not None and self.patience is not None and unhealthy >= self.patience
        if not unhealthy or not (ended or given_up):
            return None
        first, last = healthy["epoch"] + 1, history[-1]
        if where := self._shares(last, space):
            return Verdict(healthy["epoch"], f"the cells of epochs {first} to {len(history)} have collapsed ({where})")
        return Verdict(
            healthy["epoch"],
            f"in epochs {first} to {len(history)} the supernet was another network than its cell (in the last, "
            f"accuracies of {last[SUPERNET]:.3g} and {last[CELL]:.3g})",
        )

    def _last(self, history: Sequence[Mapping], space: Space, *unhealthy: Callable) -> Mapping | None:
        """The last epoch with healthy shares to which none of the other conditions applies."""
        moved = [
            row for row in history if ARCH_LOSS in row
        ] or history  # no epoch has it where a step has no such phase
        rows = (row for row in reversed(moved) if not any(applies(row) for applies in unhealthy))
        return next((row for row in rows if not self._overtaken(row, space)), None)

    def _apart(self, row: Mapping) -> bool:
        """Whether the cell alone is much worse than the supernet; never where an epoch does not measure both."""
        if self.least_ratio is None or not {CELL, SUPERNET} <= row.keys():
            return False
        return row[CELL] < self.least_ratio * row[SUPERNET]

    def _overtaken(self, row: Mapping, space: Space) -> list:
        return overtaken(from_text(row["genotype"], space), space, self.max_share)

    def _shares(self, row: Mapping, space: Space) -> str:
        return "; ".join(f"{share.operation} takes {share}" for share in self._overtaken(row, space))

    def _no_epoch(self, history: Sequence[Mapping], space: Space) -> str:
        return (
            f"The search has collapsed: in the cell of each epoch in which logits have learned, of {len(history)}, an "
            f"operation without weights has more than {self.max_share:.0%} of the edges (in the last, "
            f"{self._shares(history[-1], space)}). {ADVICE}. Received: {history[-1]['genotype']}"
        )
