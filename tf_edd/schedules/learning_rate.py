"""Learning-rate schedules: pure functions of the epoch, counted from 0; the rate changes once an epoch."""

import dataclasses
import math
from collections.abc import Callable

import gin

from tf_edd.errors import UserError


@dataclasses.dataclass(frozen=True)
class ConstantRate:
    """The same rate in every epoch."""

    value: float

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ..."""
        return self.value


@dataclasses.dataclass(frozen=True)
class CosineRate:
    """Half a cosine from `base` down to `minimum`. See `cosine_rate`."""

    base: float
    minimum: float
    epochs: int

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ...; from epoch `epochs` on it stays at the minimum."""
        progress = min(epoch / self.epochs, 1.0)
        return self.minimum + (self.base - self.minimum) * (1 + math.cos(math.pi * progress)) / 2


@dataclasses.dataclass(frozen=True)
class ExponentialRate:
    """`base` times a power of `decay`. See `exponential_rate`."""

    base: float
    decay: float

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ..."""
        return self.base * self.decay**epoch


@dataclasses.dataclass(frozen=True)
class LinearRate:
    """A straight line from `base` towards zero, with a slower tail. See `linear_rate`."""

    base: float
    epochs: int
    tail: int

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ...; from epoch `epochs` on it is zero."""
        left, line = max(self.epochs - epoch, 0), self.epochs - self.tail
        return self.base * (left - self.tail) / line if left > self.tail else self.base * left / (line * self.tail)


@dataclasses.dataclass(frozen=True)
class WarmUpRate:
    """Rises to the first rate of another schedule, then follows it. See `warm_up_rate`."""

    rate: Callable[[int], float]
    epochs: int

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ..."""
        return self.rate(0) * (epoch + 1) / self.epochs if epoch < self.epochs else self.rate(epoch)


@dataclasses.dataclass(frozen=True)
class SequenceRate:
    """One schedule, then another. See `sequence_rate`."""

    first: Callable[[int], float]
    epochs: int
    then: Callable[[int], float]

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ..."""
        return self.first(epoch) if epoch < self.epochs else self.then(epoch - self.epochs)


def _check_positive(**values) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise UserError(f"{name} must be a positive number. Received: {name}={value!r}")


@gin.configurable(module="tf_edd.schedules.learning_rate")
def constant_rate(value: float = gin.REQUIRED) -> ConstantRate:
    """One learning rate for the whole training.

    Raises:
        UserError: a rate that is not a positive number.
    """
    _check_positive(value=value)
    return ConstantRate(float(value))


@gin.configurable(module="tf_edd.schedules.learning_rate")
def cosine_rate(base: float = gin.REQUIRED, minimum: float = 0.0, epochs: int = gin.REQUIRED) -> CosineRate:
    """Cosine decay: lr_e = minimum + (base - minimum) (1 + cos(pi e / epochs)) / 2, with e = 0, 1, ..., epochs - 1.

    Epoch 0 runs at `base`; the last epoch is still a little above `minimum`, as in PyTorch's CosineAnnealingLR.

    Args:
        base: rate of the first epoch.
        minimum: where the cosine ends.
        epochs: its length.

    Raises:
        UserError: a value out of range.
    """
    if not 0 <= minimum <= base < math.inf or base == 0:
        raise UserError(f"Expected 0 <= minimum <= base and base above 0. Received: base={base!r}, minimum={minimum!r}")
    if epochs < 1:
        raise UserError(f"epochs must be at least 1. Received: epochs={epochs!r}")
    return CosineRate(float(base), float(minimum), int(epochs))


@gin.configurable(module="tf_edd.schedules.learning_rate")
def exponential_rate(base: float = gin.REQUIRED, decay: float = 0.97) -> ExponentialRate:
    """Exponential decay: lr_e = base * decay^e.

    Args:
        base: rate of the first epoch.
        decay: factor from one epoch to the next. Source: https://github.com/quark0/darts, `cnn/train_imagenet.py`.

    Raises:
        UserError: a value that is not positive.
    """
    _check_positive(base=base, decay=decay)
    return ExponentialRate(float(base), float(decay))


@gin.configurable(module="tf_edd.schedules.learning_rate")
def linear_rate(base: float = gin.REQUIRED, epochs: int = gin.REQUIRED, tail: int = 5) -> LinearRate:
    """Linear decay with a tail, E epochs with T of them in the tail.

        lr_e = base (E - T - e) / (E - T)           while E - e > T
        lr_e = base (E - e) / ((E - T) T)           in the last T epochs

    Args:
        base: rate of the first epoch.
        epochs: E.
        tail: T, at least 1. Source: https://github.com/yuhuixu1993/PC-DARTS, `train_imagenet.py`.

    Raises:
        UserError: a value out of range.
    """
    _check_positive(base=base)
    if not 1 <= tail < epochs:
        raise UserError(f"Expected 1 <= tail < epochs. Received: tail={tail!r}, epochs={epochs!r}")
    return LinearRate(float(base), int(epochs), int(tail))


@gin.configurable(module="tf_edd.schedules.learning_rate")
def warm_up_rate(rate: Callable[[int], float] = gin.REQUIRED, epochs: int = 5) -> WarmUpRate:
    """In place of the first epochs of a schedule r: lr_e = r(0) (e + 1) / epochs, which ends at the rate r(0).

    Args:
        rate: r; it is not shifted, its own first epochs are left out.
        epochs: length of the warm-up.

    Raises:
        UserError: a length that is not positive.

    Source: https://github.com/xiangning-chen/DrNAS, `DARTS-space/train_imagenet.py`. PC-DARTS' released code multiplies
    the decayed rate r(e) instead.
    """
    _check_positive(epochs=epochs)
    return WarmUpRate(rate, int(epochs))


@gin.configurable(module="tf_edd.schedules.learning_rate")
def sequence_rate(
    first: Callable[[int], float] = gin.REQUIRED,
    epochs: int = gin.REQUIRED,
    then: Callable[[int], float] = gin.REQUIRED,
) -> SequenceRate:
    """Two schedules, one behind the other: lr_e = first(e) while e < epochs, then(e - epochs) afterwards.

    Args:
        first: schedule of the first epochs.
        epochs: how many.
        then: schedule of the others, which counts its epochs from 0.

    Raises:
        UserError: a length that is not positive.
    """
    _check_positive(epochs=epochs)
    return SequenceRate(first, int(epochs), then)
