"""The interface of an action."""

from __future__ import annotations

from typing import ClassVar

from tf_edd.actions.search_state import SearchState


class RunningAction:
    """An action within one search. Only the chief process calls it; by default it does nothing."""

    def measure(self, state: SearchState) -> dict[str, float]:
        """Further metrics of the epoch that has just ended, as TensorBoard tag -> value.

        Every action measures before `epoch` of any action is called, and the search merges the results into the metrics
        and into `state.history[-1]`. The order of the actions therefore does not matter.
        """
        return {}

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Called after an epoch and before its checkpoint.

        Args:
            state: The search. `state.epoch` counts the finished epochs and `state.history[-1]` is the last of them.
            metrics: TensorBoard tag -> value, what the actions have measured included.
        """

    def end(self, state: SearchState) -> None:
        """Called after the last epoch, and after a selector has chosen the genotype."""


class Action(RunningAction):
    """Something done at named moments of a search, described by a frozen dataclass.

    What an action keeps during a search (open files, what it has warned about) lies in the object that `begin` returns,
    so that one action serves any number of searches. An action that keeps nothing overrides the other methods itself.
    """

    measures: ClassVar[tuple[str, ...]] = ()
    """Tags of its metrics that a stopper may read; the record of such a search holds the action."""

    def check(self, state: SearchState) -> None:
        """Raises UserError for a search that it cannot serve; called before anything is written, with no history yet.

        What takes long is left to `begin`.
        """
        return None

    def begin(self, state: SearchState) -> RunningAction:
        """Called before the first step of this process; `state.history` is not empty when a search is resumed.

        Returns:
            What is called in the rest of this search; by default the action itself.
        """
        return self
