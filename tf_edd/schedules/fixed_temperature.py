"""Temperature schedules that are fixed before the search: constant, linear, exponential, periodic.

Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", sections 2.2 and 4.
"""

import dataclasses

from absl import logging

from tf_edd.errors import UserError, require_count, require_one_of, require_positive
from tf_edd.part import part
from tf_edd.schedules.exp_temperature import EXPECTED_LOGIT, excess_of, temperature_of
from tf_edd.schedules.temperature import TemperatureState

KINDS = ("exponential", "linear")


@dataclasses.dataclass(frozen=True)
class FixedSchedule:
    """A list of temperatures that is run through `cycles` times after a warmup.

    Attributes:
        values: t_0 ... t_N, one for each epoch.
        cycles: How often the list is run through; afterwards the temperature stays at t_N.
        warmup_epochs: Epochs at t_0 before the first cycle, which itself starts with an epoch at t_0.
        logit_scale: E(a), to report t^exp; None for lists that are not exponential.

    Raises:
        UserError: An empty list.
    """

    values: tuple[float, ...]
    cycles: int = 1
    warmup_epochs: int = 0
    logit_scale: float | None = None

    def __post_init__(self):
        if len(self.values) == 0:
            raise UserError(f"values must be a list of at least one temperature. Received: values={self.values!r}")

    def at(self, epoch: int) -> float:
        """The temperature of epoch 1, 2, ..."""
        position = max(epoch - 1 - self.warmup_epochs, 0)
        if position >= self.cycles * len(self.values):
            return self.values[-1]
        return self.values[position % len(self.values)]

    def init(self) -> tuple[TemperatureState, float]:
        return self._result(self.at(1))

    def update(self, state: TemperatureState, tick: int, mean_entropy: float) -> tuple[TemperatureState, float]:
        return self._result(self.at(tick + 1))

    def _result(self, temperature: float) -> tuple[TemperatureState, float]:
        if self.logit_scale is None:
            return {}, temperature
        return {"exp_temperature": 1 + excess_of(temperature, self.logit_scale)}, temperature


@dataclasses.dataclass(frozen=True)
class _Fixed:
    """What the schedules below share: each computes a `FixedSchedule` from its fields and follows it."""

    schedule: FixedSchedule = dataclasses.field(init=False, repr=False, compare=False)

    def init(self) -> tuple[TemperatureState, float]:
        """See `Temperature`."""
        return self.schedule.init()

    def update(self, state: TemperatureState, tick: int, mean_entropy: float) -> tuple[TemperatureState, float]:
        """See `Temperature`; neither state nor entropy matter."""
        return self.schedule.update(state, tick, mean_entropy)

    def _set(self, **values) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


@part(module="tf_edd.schedules")
class ConstantTemperature(_Fixed):
    """One temperature for the whole search; DARTS has t = 1.

    Attributes:
        temperature: t > 0.

    Raises:
        UserError: A temperature that is not positive.
    """

    temperature: float = 1.0

    def __post_init__(self):
        require_positive(temperature=self.temperature)
        self._set(temperature=float(self.temperature), schedule=FixedSchedule((float(self.temperature),)))


@part(module="tf_edd.schedules")
class LinearTemperature(_Fixed):
    """LTS (section 2.2): equal steps of t from t_0 to t_N, see `linear_list`.

    Attributes:
        epochs: Epochs of the search.
        initial_temperature: t_0, the temperature of epoch 1.
        final_temperature: t_N.
        decay_points: N. Epoch n + 1 runs at t_n, and epochs after N + 1 at t_N. None stands for epochs - 1, so that the
            last epoch is the first at t_N.

    Raises:
        UserError: A value out of range.
    """

    epochs: int
    initial_temperature: float = 1.0
    final_temperature: float = 1e-3
    decay_points: int | None = None

    @property
    def total_epochs(self) -> int:
        """See `Lasting`."""
        return self.epochs

    def __post_init__(self):
        points = _points(self.epochs, self.decay_points, cycles=1, warmup_epochs=0)
        values = linear_list(self.initial_temperature, self.final_temperature, points)
        self._set(schedule=FixedSchedule(values))


@part(module="tf_edd.schedules")
class ExponentialTemperature(_Fixed):
    """ETS (Eq. 10 to 12): equal steps of t^exp from t_0^exp to t_N^exp, see `exponential_list`.

    Attributes:
        epochs: Epochs of the search.
        initial_temperature: t_0, the temperature of epoch 1.
        final_temperature: t_N; not used when `exp_increment` is given.
        decay_points: N, mapped to epochs as in `LinearTemperature`.
        exp_increment: d^exp, which then fixes t_N by t_N^exp = t_0^exp + N d^exp (the second use in section 2.2).
        logit_scale: E(a).

    Raises:
        UserError: A value out of range.
    """

    epochs: int
    initial_temperature: float = 1.0
    final_temperature: float = 1e-3
    decay_points: int | None = None
    exp_increment: float | None = None
    logit_scale: float = EXPECTED_LOGIT

    @property
    def total_epochs(self) -> int:
        """See `Lasting`."""
        return self.epochs

    def __post_init__(self):
        points = _points(self.epochs, self.decay_points, cycles=1, warmup_epochs=0)
        self._set(schedule=FixedSchedule(_exponential_values(self, points), logit_scale=self.logit_scale))


@part(module="tf_edd.schedules")
class PeriodicTemperature(_Fixed):
    """PCD (kind "exponential") and LPCD (kind "linear"), section 4: a list that is run through in cycles.

    Attributes:
        epochs: Epochs of the search.
        kind: The list: "exponential", that of `ExponentialTemperature`, or "linear", that of `LinearTemperature`.
        cycles: How often it is run through (three times in the paper's Fig. 4A); afterwards t stays at t_N.
        warmup_epochs: Epochs at t_0 before the first cycle.
        initial_temperature: t_0.
        final_temperature: t_N; not used when `exp_increment` is given.
        decay_points: N; each cycle has N + 1 epochs. None stands for the most that fit,
            (epochs - warmup_epochs) // cycles - 1.
        exp_increment: The preset decay strength d^exp, which then fixes t_N.
        logit_scale: E(a).

    Raises:
        UserError: A value out of range, or `exp_increment` with a linear list.
    """

    epochs: int
    kind: str = "exponential"
    cycles: int = 3
    warmup_epochs: int = 0
    initial_temperature: float = 1.0
    final_temperature: float = 1e-3
    decay_points: int | None = None
    exp_increment: float | None = None
    logit_scale: float = EXPECTED_LOGIT

    @property
    def total_epochs(self) -> int:
        """See `Lasting`."""
        return self.epochs

    def __post_init__(self):
        require_one_of(KINDS, kind=self.kind)
        points = _points(self.epochs, self.decay_points, self.cycles, self.warmup_epochs)
        if self.kind == "linear":
            if self.exp_increment is not None:
                raise UserError(f"A linear list takes no exp_increment. Received: exp_increment={self.exp_increment!r}")
            values, logit_scale = linear_list(self.initial_temperature, self.final_temperature, points), None
        else:
            values, logit_scale = _exponential_values(self, points), self.logit_scale
        self._set(schedule=FixedSchedule(values, self.cycles, self.warmup_epochs, logit_scale))


def linear_list(initial: float, final: float, points: int) -> tuple[float, ...]:
    """LTS: equal steps of t.

        t_n = t_0 + n (t_N - t_0) / N,     n = 0, ..., N

    Args:
        initial: t_0.
        final: t_N, at most t_0.
        points: N, at least 1.

    Returns:
        t_0 ... t_N.

    Raises:
        UserError: A value out of range.
    """
    _check_decay(initial, final)
    require_count(decay_points=points)
    return (float(initial), *(initial + n * (final - initial) / points for n in range(1, points)), float(final))


def exponential_list(
    initial: float, final: float, points: int, logit_scale: float = EXPECTED_LOGIT
) -> tuple[float, ...]:
    """ETS, Eq. 10 to 12: equal steps of t^exp.

        t_n = E(a) / ln(t_0^exp + n (t_N^exp - t_0^exp) / N),     t^exp = exp(E(a) / t)

    Args:
        initial: t_0.
        final: t_N, at most t_0.
        points: N, at least 1.
        logit_scale: E(a).

    Returns:
        t_0 ... t_N.

    Raises:
        UserError: A value out of range.
    """
    _check_decay(initial, final)
    require_count(decay_points=points)
    start = excess_of(initial, logit_scale)
    increment = (excess_of(final, logit_scale) - start) / points
    middle = (temperature_of(start + n * increment, logit_scale) for n in range(1, points))
    return (float(initial), *middle, float(final))


def _exponential_values(schedule: ExponentialTemperature | PeriodicTemperature, points: int) -> tuple[float, ...]:
    initial, final, logit_scale = schedule.initial_temperature, schedule.final_temperature, schedule.logit_scale
    if schedule.exp_increment is not None:
        require_positive(exp_increment=schedule.exp_increment, initial_temperature=initial)
        final = temperature_of(excess_of(initial, logit_scale) + points * schedule.exp_increment, logit_scale)
    return exponential_list(initial, final, points, logit_scale)


def _points(epochs: int, decay_points: int | None, cycles: int, warmup_epochs: int) -> int:
    """N: as given, or the most with which all cycles fit into the epochs; at least 1."""
    require_count(epochs=epochs, cycles=cycles)
    require_count(0, warmup_epochs=warmup_epochs)
    if decay_points is None:
        decay_points = max((epochs - warmup_epochs) // cycles - 1, 1)
    require_count(decay_points=decay_points)
    needed = warmup_epochs + cycles * (decay_points + 1)
    if needed > max(epochs, 2):
        logging.warning("The list of temperatures needs %d epochs; the search ends after %d", needed, epochs)
    return int(decay_points)


def _check_decay(initial: float, final: float) -> None:
    require_positive(initial_temperature=initial, final_temperature=final)
    if final > initial:
        raise UserError(
            "final_temperature must not exceed initial_temperature. "
            f"Received: initial_temperature={initial!r}, final_temperature={final!r}"
        )
