"""Temperature schedules: pure numbers, one value an epoch, no TensorFlow.

Epochs are counted from 1. The exponential schedules step evenly in t^exp = exp(E(a)/t), Eq. 10, not in t.
Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", sections 2.2 to 4.
"""

import dataclasses
import math
from typing import Protocol

import gin
from absl import logging

from tf_edd.errors import UserError

State = dict[str, float]

# E(a) of logits drawn as 1e-3 * N(0, 1), section 2.2: the mean of max(a, 0). The paper rounds it to 4e-4.
EXPECTED_LOGIT = 1e-3 * math.sqrt(2 / math.pi) / 2


class Temperature(Protocol):
    """A schedule; its state is a flat dict of floats that survives JSON."""

    def init(self) -> tuple[State, float]:
        """The first state, and the temperature of epoch 1."""

    def update(self, state: State, epoch: int, mean_entropy: float) -> tuple[State, float]:
        """The next state, and the temperature of the next epoch.

        Args:
            state: what `init` or the previous `update` returned.
            epoch: k = 1, 2, ..., the epoch that has just finished.
            mean_entropy: E(H(beta)) after that epoch, in nats (Eq. 13).
        """


def _check_positive(**values) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise UserError(f"{name} must be a positive number. Received: {name}={value!r}")


def _check_count(smallest: int, **values) -> None:
    for name, value in values.items():
        if int(value) != value or value < smallest:
            raise UserError(f"{name} must be an integer of at least {smallest}. Received: {name}={value!r}")


def _check_decay(initial: float, final: float) -> None:
    _check_positive(initial_temperature=initial, final_temperature=final)
    if final > initial:
        raise UserError(
            "final_temperature must not exceed initial_temperature. "
            f"Received: initial_temperature={initial!r}, final_temperature={final!r}"
        )


def _excess(temperature: float, logit_scale: float) -> float:
    """t^exp - 1 (Eq. 10). As t^exp is close to 1 at the start, its excess over 1 keeps the digits that ln needs."""
    _check_positive(logit_scale=logit_scale, temperature=temperature)
    if logit_scale / temperature > 700:
        raise UserError(
            f"temperature {temperature!r} is too small for logit_scale {logit_scale!r}: exp(E(a)/t) overflows. "
            f"Received: E(a)/t = {logit_scale / temperature:.4g}, expected at most 700"
        )
    return math.expm1(logit_scale / temperature)


def _temperature(excess: float, logit_scale: float) -> float:
    """t = E(a) / ln(t^exp), Eq. 12; positive because t^exp > 1."""
    if not 0 < excess < math.inf:
        raise UserError(f"The temperature needs t^exp above 1 and finite (Eq. 12). Received: t^exp={1 + excess!r}")
    return logit_scale / math.log1p(excess)


def linear_list(initial: float, final: float, points: int) -> tuple[float, ...]:
    """LTS: t_n = t_0 + n (t_N - t_0) / N for n = 0 ... N, with N = `points`."""
    _check_decay(initial, final)
    _check_count(1, decay_points=points)
    return (float(initial), *(initial + n * (final - initial) / points for n in range(1, points)), float(final))


def exponential_list(
    initial: float, final: float, points: int, logit_scale: float = EXPECTED_LOGIT
) -> tuple[float, ...]:
    """ETS, Eq. 10-12: N = `points` equal steps of t^exp from t_0^exp to t_N^exp, as temperatures t_0 ... t_N."""
    _check_decay(initial, final)
    _check_count(1, decay_points=points)
    start = _excess(initial, logit_scale)
    increment = (_excess(final, logit_scale) - start) / points
    return (float(initial), *(_temperature(start + n * increment, logit_scale) for n in range(1, points)), float(final))


@dataclasses.dataclass(frozen=True)
class Listed:
    """A list of temperatures fixed before the search, run through `cycles` times after the warm-up.

    Attributes:
        values: t_0 ... t_N, one an epoch.
        cycles: how often the list is run through; after that t_N stays.
        warmup_epochs: epochs at t_0 before the first cycle (which itself starts with an epoch at t_0).
        logit_scale: E(a), to report t^exp; None for lists that are not exponential.
    """

    values: tuple[float, ...]
    cycles: int = 1
    warmup_epochs: int = 0
    logit_scale: float | None = None

    def at(self, epoch: int) -> float:
        """The temperature of epoch 1, 2, ..."""
        position = max(epoch - 1 - self.warmup_epochs, 0)
        if position >= self.cycles * len(self.values):
            return self.values[-1]
        return self.values[position % len(self.values)]

    def _result(self, temperature: float) -> tuple[State, float]:
        if self.logit_scale is None:
            return {}, temperature
        return {"exp_temperature": 1 + _excess(temperature, self.logit_scale)}, temperature

    def init(self) -> tuple[State, float]:
        """t_0."""
        return self._result(self.at(1))

    def update(self, state: State, epoch: int, mean_entropy: float) -> tuple[State, float]:
        """The next entry; neither state nor entropy matter."""
        return self._result(self.at(epoch + 1))


@dataclasses.dataclass(frozen=True)
class EntropyDecay:
    """EDD: the steps of t^exp follow the entropy of the probabilities. See `entropy_decay`."""

    entropy_gain: float
    momentum: float
    initial_temperature: float
    logit_scale: float
    first_epoch: int

    def init(self) -> tuple[State, float]:
        """d^(0) = 0 and t_0^exp; epoch 1 runs at t_0."""
        excess = _excess(self.initial_temperature, self.logit_scale)
        return {"exp_increment": 0.0, "exp_temperature": 1 + excess}, self.initial_temperature

    def update(self, state: State, epoch: int, mean_entropy: float) -> tuple[State, float]:
        """First d^exp (Eq. 14), then t (Eq. 15), as in Algorithm 2.

        Raises:
            UserError: an entropy that is negative or not finite.
        """
        # float32 probabilities may sum to a little over 1, which makes the entropy of one-hot rows about -1e-7
        if not -1e-5 < mean_entropy < math.inf:
            raise UserError(f"Expected a mean entropy of at least 0 nats. Received: mean_entropy={mean_entropy!r}")
        entropy = max(float(mean_entropy), 0.0)
        increment = self.entropy_gain * (1 - self.momentum) * entropy + self.momentum * state["exp_increment"]
        k = epoch - 1 + self.first_epoch
        excess = _excess(self.initial_temperature, self.logit_scale) + k * increment
        return {"exp_increment": increment, "exp_temperature": 1 + excess}, _temperature(excess, self.logit_scale)


@gin.configurable(module="tf_edd.schedules.temperature")
def constant(temperature: float = 1.0) -> Listed:
    """One temperature for the whole search; DARTS at t = 1.

    Raises:
        UserError: a temperature that is not positive.
    """
    _check_positive(temperature=temperature)
    return Listed((float(temperature),))


@gin.configurable(module="tf_edd.schedules.temperature")
def linear(
    epochs: int = gin.REQUIRED,
    initial_temperature: float = 1.0,
    final_temperature: float = 1e-3,
    decay_points: int | None = None,
) -> Listed:
    """LTS (section 2.2): evenly from t_0 to t_N.

    Args:
        epochs: epochs of the search.
        initial_temperature: t_0, the temperature of epoch 1.
        final_temperature: t_N.
        decay_points: N. Epoch n + 1 runs at t_n, epochs after N + 1 at t_N. None: epochs - 1, so the last epoch is the
            first at t_N.

    Raises:
        UserError: a value out of range.
    """
    points = _points(epochs, decay_points, cycles=1, warmup_epochs=0)
    return Listed(linear_list(initial_temperature, final_temperature, points))


@gin.configurable(module="tf_edd.schedules.temperature")
def exponential(
    epochs: int = gin.REQUIRED,
    initial_temperature: float = 1.0,
    final_temperature: float = 1e-3,
    decay_points: int | None = None,
    exp_increment: float | None = None,
    logit_scale: float = EXPECTED_LOGIT,
) -> Listed:
    """ETS, Eq. 10-12: evenly from t_0^exp to t_N^exp.

    Args:
        epochs: epochs of the search.
        initial_temperature: t_0, the temperature of epoch 1.
        final_temperature: t_N; not used when `exp_increment` is given.
        decay_points: N, mapped to epochs as in `linear`.
        exp_increment: d^exp, which then fixes t_N by t_N^exp = t_0^exp + N d^exp (the second use in section 2.2).
        logit_scale: E(a).

    Raises:
        UserError: a value out of range.
    """
    points = _points(epochs, decay_points, cycles=1, warmup_epochs=0)
    final = _final_temperature(initial_temperature, final_temperature, points, exp_increment, logit_scale)
    return Listed(exponential_list(initial_temperature, final, points, logit_scale), logit_scale=logit_scale)


@gin.configurable(module="tf_edd.schedules.temperature")
def periodic(
    epochs: int = gin.REQUIRED,
    kind: str = "exponential",
    cycles: int = 3,
    warmup_epochs: int = 0,
    initial_temperature: float = 1.0,
    final_temperature: float = 1e-3,
    decay_points: int | None = None,
    exp_increment: float | None = None,
    logit_scale: float = EXPECTED_LOGIT,
) -> Listed:
    """PCD (kind "exponential") and LPCD (kind "linear"), section 4: a list fixed beforehand, run through in cycles.

    Args:
        epochs: epochs of the search.
        kind: the list, that of `exponential` or of `linear`.
        cycles: how often it is run through (three in the paper's Fig. 4A); afterwards t_N stays.
        warmup_epochs: epochs at t_0 before the first cycle.
        initial_temperature: t_0.
        final_temperature: t_N; not used when `exp_increment` is given.
        decay_points: N in each cycle of N + 1 epochs. None: the most that fit, (epochs - warmup_epochs) // cycles - 1.
        exp_increment: the preset decay strength d^exp, which then fixes t_N.
        logit_scale: E(a).

    Raises:
        UserError: a value out of range, or `exp_increment` with a linear list.
    """
    if kind not in ("exponential", "linear"):
        raise UserError(f"kind must be 'exponential' (PCD) or 'linear' (LPCD). Received: kind={kind!r}")
    points = _points(epochs, decay_points, cycles, warmup_epochs)
    if kind == "linear":
        if exp_increment is not None:
            raise UserError(f"A linear list takes no exp_increment. Received: exp_increment={exp_increment!r}")
        return Listed(linear_list(initial_temperature, final_temperature, points), cycles, warmup_epochs)
    final = _final_temperature(initial_temperature, final_temperature, points, exp_increment, logit_scale)
    values = exponential_list(initial_temperature, final, points, logit_scale)
    return Listed(values, cycles, warmup_epochs, logit_scale)


@gin.configurable(module="tf_edd.schedules.temperature")
def entropy_decay(
    entropy_gain: float = 0.06,
    momentum: float = 0.5,
    initial_temperature: float = 1.0,
    logit_scale: float = EXPECTED_LOGIT,
    first_epoch: int = 1,
) -> EntropyDecay:
    """EDD, Algorithm 2: d^exp follows the entropy, and t follows d^exp.

    After epoch k, with d^(0) = 0:
        d^(k) = lambda (1 - rho) E(H(beta)) + rho d^(k-1)         (Eq. 14)
        t^(k) = E(a) / ln(exp(E(a)/t_0) + k d^(k))                (Eq. 15)
    Epoch 1 runs at t_0, epoch k + 1 at t^(k).

    Args:
        entropy_gain: lambda > 0 (0.06, 0.12 and 0.24 in Tables 5 and 6).
        momentum: rho in [0, 1).
        initial_temperature: t_0.
        logit_scale: E(a), fixed at the start; scale it with the standard deviation of the initial logits.
        first_epoch: the k of the first epoch in Eq. 15, 1 or 0. With 0 the second epoch runs at t_0 as well.

    Raises:
        UserError: a value out of range.
    """
    _check_positive(entropy_gain=entropy_gain, logit_scale=logit_scale, initial_temperature=initial_temperature)
    if not 0 <= momentum < 1:
        raise UserError(f"momentum must lie in [0, 1). Received: momentum={momentum!r}")
    if first_epoch not in (0, 1):
        raise UserError(f"first_epoch must be 0 or 1. Received: first_epoch={first_epoch!r}")
    schedule = EntropyDecay(
        float(entropy_gain), float(momentum), float(initial_temperature), float(logit_scale), int(first_epoch)
    )
    schedule.init()  # refuses a t_0 that overflows before any training
    return schedule


def _points(epochs: int, decay_points: int | None, cycles: int, warmup_epochs: int) -> int:
    """N: as given, or the most with which all cycles fit into the epochs; at least 1."""
    _check_count(1, epochs=epochs, cycles=cycles)
    _check_count(0, warmup_epochs=warmup_epochs)
    if decay_points is None:
        decay_points = max((epochs - warmup_epochs) // cycles - 1, 1)
    _check_count(1, decay_points=decay_points)
    needed = warmup_epochs + cycles * (decay_points + 1)
    if needed > max(epochs, 2):
        logging.warning("The temperature list takes %d epochs; the search ends after %d", needed, epochs)
    return int(decay_points)


def _final_temperature(initial, final, points, exp_increment, logit_scale) -> float:
    if exp_increment is None:
        return final
    _check_positive(exp_increment=exp_increment, initial_temperature=initial)
    return _temperature(_excess(initial, logit_scale) + points * exp_increment, logit_scale)
