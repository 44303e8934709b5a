"""When a search warms up and when its temperature changes, counted in steps."""

import dataclasses
import functools

from tf_edd.errors import UserError


@dataclasses.dataclass(frozen=True)
class Clock:
    """Warm-up and ticks of a search; at a tick the temperature follows the entropy.

    With S architecture steps after a warm-up of W steps, tick k = 1, ..., N comes after step

        W + ceil(k S / N)

    so that equal numbers of steps and ticks cool alike, however the steps are cut into epochs.

    Attributes:
        epochs: Length of the search.
        steps: Steps of an epoch.
        warmup_epochs: Epochs at the start without architecture steps, rounded to whole steps.
        ticks: N; None for a tick at the end of each epoch that has architecture steps.
        fixed: Whether the logits may stay as they are, so that the warm-up may be the whole search.

    Raises:
        UserError: More ticks than architecture steps, or no architecture step unless `fixed`.
    """

    epochs: int
    steps: int
    warmup_epochs: float = 0
    ticks: int | None = None
    fixed: bool = False

    def __post_init__(self):
        if self.warmup_steps >= self.total_steps + self.fixed:
            raise UserError(
                f"warmup_epochs must leave at least one of the {self.total_steps:,} steps: the logits have to move. "
                f"Received: warmup_epochs={self.warmup_epochs}"
            )
        if self.ticks is not None and self.ticks > self.total_steps - self.warmup_steps:
            raise UserError(
                f"Method.ticks must be at most the {self.total_steps - self.warmup_steps:,} steps after the warm-up. "
                f"Received: ticks={self.ticks}"
            )

    @property
    def total_steps(self) -> int:
        """Of the search."""
        return self.epochs * self.steps

    @property
    def warmup_steps(self) -> int:
        """Steps at the start in which only the weights move."""
        return round(self.warmup_epochs * self.steps)

    @functools.cached_property
    def _ticks(self) -> dict[int, int]:
        """Steps done -> number of the tick."""
        warmup, total = self.warmup_steps, self.total_steps
        if self.ticks is None:
            ends = range((warmup // self.steps + 1) * self.steps, total + 1, self.steps)
        else:
            ends = (warmup - (-k * (total - warmup) // self.ticks) for k in range(1, self.ticks + 1))
        return {step: k for k, step in enumerate(ends, start=1)}

    def tick(self, step: int) -> int | None:
        """The number of the tick, from 1, that comes after so many steps; None if there is none."""
        return self._ticks.get(step)

    def warming_up(self, step: int) -> bool:
        """Whether the step with this number, from 0, is one of the weights alone."""
        return step < self.warmup_steps

    def last_change(self, step: int) -> int:
        """The steps done at the latest start of an epoch or tick that is not after `step`."""
        epoch = step - step % self.steps
        return max((done for done in self._ticks if epoch < done <= step), default=epoch)

    def epoch_at(self, step: int) -> int | float:
        """The epoch under way after so many steps, as a whole number where one begins."""
        whole, rest = divmod(step, self.steps)
        return whole if rest == 0 else step / self.steps
