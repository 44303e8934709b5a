"""Learning-rate schedules: pure functions of the epoch, which is counted from 0; the rate changes once per epoch."""

import math
from typing import Protocol

from tf_edd.errors import UserError, require_count, require_positive
from tf_edd.part import part
from tf_edd.schedules.length import total_epochs


class Rate(Protocol):
    """A learning-rate schedule."""

    def __call__(self, epoch: int) -> float:
        """The rate of epoch 0, 1, ..."""


@part(module="tf_edd.schedules")
class ConstantRate:
    """The same rate in every epoch.

    Attributes:
        value: The rate.

    Raises:
        UserError: A rate that is not positive.
    """

    value: float

    def __post_init__(self):
        _positive(self, "value")

    def __call__(self, epoch: int) -> float:
        return self.value


@part(module="tf_edd.schedules")
class CosineRate:
    """Cosine decay, half a cosine from `base` down to `minimum`.

        lr_e = minimum + (base - minimum) (1 + cos(pi e / epochs)) / 2,     e = 0, 1, ..., epochs - 1

    Epoch 0 runs at `base`; the last epoch is still a little above `minimum`, as in PyTorch's CosineAnnealingLR. From
    epoch `epochs` on the rate stays at `minimum`.

    Attributes:
        base: Rate of the first epoch.
        epochs: Length of the decay.
        minimum: Where the cosine ends.

    Raises:
        UserError: A value out of range.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv 1608.03983.
    """

    base: float
    epochs: int
    minimum: float = 0.0

    def __post_init__(self):
        if self.minimum != 0:
            require_positive(" or 0", minimum=self.minimum)
        _positive(self, "base")
        _count(self, "epochs")
        if self.minimum > self.base:
            raise UserError(f"minimum must not exceed base. Received: base={self.base!r}, minimum={self.minimum!r}")
        object.__setattr__(self, "minimum", float(self.minimum))

    @property
    def total_epochs(self) -> int:
        """See `Lasting`."""
        return self.epochs

    def __call__(self, epoch: int) -> float:
        progress = min(epoch / self.epochs, 1.0)
        return self.minimum + (self.base - self.minimum) * (1 + math.cos(math.pi * progress)) / 2


@part(module="tf_edd.schedules")
class ExponentialRate:
    """Exponential decay.

        lr_e = base * decay^e

    Attributes:
        base: Rate of the first epoch.
        decay: Factor from one epoch to the next.

    Raises:
        UserError: A value that is not positive.

    Source: https://github.com/quark0/darts, `cnn/train_imagenet.py`.
    """

    base: float
    decay: float = 0.97

    def __post_init__(self):
        _positive(self, "base", "decay")

    def __call__(self, epoch: int) -> float:
        return self.base * self.decay**epoch


@part(module="tf_edd.schedules")
class LinearRate:
    """Linear decay towards zero with a slower tail: E epochs, the last T of them in the tail.

        lr_e = base (E - T - e) / (E - T)           while E - e > T
        lr_e = base (E - e) / ((E - T) T)           in the last T epochs

    From epoch E on the rate is zero.

    Attributes:
        base: Rate of the first epoch.
        epochs: E.
        tail: T, at least 1 and below E.

    Raises:
        UserError: A value out of range.

    Source: https://github.com/yuhuixu1993/PC-DARTS, `train_imagenet.py`.
    """

    base: float
    epochs: int
    tail: int = 5

    def __post_init__(self):
        _positive(self, "base")
        _count(self, "epochs", "tail")
        if self.tail >= self.epochs:
            raise UserError(f"tail must be below epochs. Received: tail={self.tail!r}, epochs={self.epochs!r}")

    @property
    def total_epochs(self) -> int:
        """See `Lasting`."""
        return self.epochs

    def __call__(self, epoch: int) -> float:
        left, line = max(self.epochs - epoch, 0), self.epochs - self.tail
        return self.base * (left - self.tail) / line if left > self.tail else self.base * left / (line * self.tail)


@part(module="tf_edd.schedules")
class WarmupRate:
    """A linear warmup in place of the first epochs of a schedule r; it ends at the rate r(0).

        lr_e = r(0) (e + 1) / epochs     while e < epochs
        lr_e = r(e)                      afterwards

    Attributes:
        rate: r. It is not shifted: its own first epochs are left out.
        epochs: Length of the warmup.

    Raises:
        UserError: A length that is not positive.

    Source: https://github.com/xiangning-chen/DrNAS, `DARTS-space/train_imagenet.py`. The released code of PC-DARTS
    multiplies the decayed rate r(e) instead.
    """

    rate: Rate
    epochs: int = 5

    def __post_init__(self):
        _count(self, "epochs")

    @property
    def total_epochs(self) -> int | None:
        """See `Lasting`: that of r."""
        return total_epochs(self.rate)

    def __call__(self, epoch: int) -> float:
        return self.rate(0) * (epoch + 1) / self.epochs if epoch < self.epochs else self.rate(epoch)


@part(module="tf_edd.schedules")
class SequenceRate:
    """Two schedules, one after the other.

        lr_e = first(e)              while e < epochs
        lr_e = then(e - epochs)      afterwards

    Attributes:
        first: Schedule of the first epochs.
        epochs: How many epochs follow `first`.
        then: Schedule of the others, which counts its epochs from 0.

    Raises:
        UserError: A length that is not positive.
    """

    first: Rate
    epochs: int
    then: Rate

    def __post_init__(self):
        _count(self, "epochs")

    @property
    def total_epochs(self) -> int | None:
        """See `Lasting`."""
        after = total_epochs(self.then)
        return None if after is None else self.epochs + after

    def __call__(self, epoch: int) -> float:
        return self.first(epoch) if epoch < self.epochs else self.then(epoch - self.epochs)


def _positive(schedule, *names: str) -> None:
    """Checks fields that must be positive and makes floats of them."""
    for name in names:
        require_positive(**{name: getattr(schedule, name)})
        object.__setattr__(schedule, name, float(getattr(schedule, name)))


def _count(schedule, *names: str) -> None:
    """Checks fields that must be integers of at least 1."""
    for name in names:
        require_count(**{name: getattr(schedule, name)})
        object.__setattr__(schedule, name, int(getattr(schedule, name)))
