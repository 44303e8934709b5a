"""Learning-rate schedules: pure functions of the epoch, counted from 0; the rate changes once an epoch."""

import dataclasses
import math

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


@gin.configurable(module="tf_edd.schedules")
def constant_rate(value: float = gin.REQUIRED) -> ConstantRate:
    """One learning rate for the whole training.

    Raises:
        UserError: a rate that is not a positive number.
    """
    if not 0 < value < math.inf:
        raise UserError(f"A learning rate must be a positive number. Received: value={value!r}")
    return ConstantRate(float(value))


@gin.configurable(module="tf_edd.schedules")
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
