"""The interface of temperature schedules."""

from typing import Protocol

TemperatureState = dict[str, float]


class Temperature(Protocol):
    """A temperature schedule, with one value for each epoch; epochs are counted from 1.

    A schedule itself never changes. Its state is a flat dict of floats, which survives JSON.
    """

    def init(self) -> tuple[TemperatureState, float]:
        """The first state, and the temperature of epoch 1."""

    def update(self, state: TemperatureState, epoch: int, mean_entropy: float) -> tuple[TemperatureState, float]:
        """The next state, and the temperature of the next epoch.

        Args:
            state: What `init` or the previous `update` returned.
            epoch: k = 1, 2, ..., the epoch that has just finished.
            mean_entropy: E(H(beta)) after that epoch, in nats (Eq. 13).
        """
