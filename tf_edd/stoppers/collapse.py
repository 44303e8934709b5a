"""What becomes of a search whose cells collapse."""

from collections.abc import Mapping, Sequence

from tf_edd.architectures.collapse import overtaken
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError, require_count, require_positive, require_share
from tf_edd.part import part
from tf_edd.spaces.space import Space
from tf_edd.stoppers.stopper import Verdict

ADVICE = (
    "To try: more steps before the architecture moves (Method.warmup_epochs), a temperature that falls more slowly "
    "(EntropyDecay.entropy_gain), more steps in all (search.steps_per_epoch), or a clip on the architecture gradient "
    "(arch_gradient_clip)"
)


class CollapsedSearch(UserError):
    """A search that has ended without any healthy cell. Programs exit with status 3."""

    status = 3


@part(module="tf_edd.stoppers")
class HealthyCell:
    """Takes the cell of the last healthy epoch, and ends a search that stays collapsed.

    A cell is healthy if none of `skip_connect`, `none` and `noise` has more than `max_share` of its edges, of all and
    of each cell type.

    Attributes:
        max_share: Largest share of the edges that each of these operations may take, in (0, 1].
        patience: Collapsed epochs in a row after which the search ends, if an earlier one was healthy; None to search
            to the last epoch.

    Raises:
        UserError: A value out of range.
    """

    max_share: float = 0.5
    patience: int | None = 5

    def __post_init__(self):
        require_positive(max_share=self.max_share)
        require_share(max_share=self.max_share)
        if self.patience is not None:
            require_count(note=" or None", patience=self.patience)

    def __call__(self, history: Sequence[Mapping], space: Space, epochs: int) -> Verdict | None:
        """See `Stopper`.

        Raises:
            CollapsedSearch: The last epoch is done, and no epoch was healthy.
        """
        healthy = next((row for row in reversed(history) if not self._overtaken(row, space)), None)
        collapsed = len(history) - (healthy["epoch"] if healthy else 0)
        ended = len(history) >= epochs
        given_up = healthy is not None and self.patience is not None and collapsed >= self.patience
        if not collapsed or not (ended or given_up):
            return None
        where = "; ".join(f"{share.operation} takes {share}" for share in self._overtaken(history[-1], space))
        if healthy is None:
            raise CollapsedSearch(
                f"The search has collapsed: in the cell of each of its {len(history)} epochs an operation without "
                f"weights has more than {self.max_share:.0%} of the edges (in the last, {where}). {ADVICE}. "
                f"Received: {history[-1]['genotype']}"
            )
        return Verdict(
            healthy["epoch"], f"the cells of epochs {healthy['epoch'] + 1} to {len(history)} have collapsed ({where})"
        )

    def _overtaken(self, row: Mapping, space: Space) -> list:
        return overtaken(from_text(row["genotype"], space), space, self.max_share)
