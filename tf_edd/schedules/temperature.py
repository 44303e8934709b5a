"""The interface of temperature schedules."""

from typing import Protocol

TemperatureState = dict[str, float]


class Temperature(Protocol):
    """A temperature schedule, with one value up to each tick; ticks are counted from 1.

    A tick comes after each epoch, unless `Method.ticks` spreads them over the steps of the search.

    A schedule itself never changes. Its state is a flat dict of floats, which survives JSON.
    """

    def init(self) -> tuple[TemperatureState, float]:
        """The first state, and the temperature up to tick 1."""

    def update(self, state: TemperatureState, tick: int, mean_entropy: float) -> tuple[TemperatureState, float]:
        """The next state, and the temperature up to the next tick.

        Args:
            state: What `init` or the previous `update` returned.
            tick: k = 1, 2, ...
            mean_entropy: E(H(beta)) at the tick, in nats (Eq. 13).
        """
