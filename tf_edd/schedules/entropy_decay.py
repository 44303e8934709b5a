"""Entropy-driven decay of the temperature."""

import math

from tf_edd.errors import UserError, require_positive, require_share
from tf_edd.part import part
from tf_edd.schedules.exp_temperature import EXPECTED_LOGIT, excess_of, temperature_of
from tf_edd.schedules.temperature import TemperatureState


@part(module="tf_edd.schedules")
class EntropyDecay:
    """EDD, Algorithm 2: d^exp follows the entropy of the probabilities, and t follows d^exp.

    At tick k, after epoch k in the paper, with d^(0) = 0:
        d^(k) = lambda (1 - rho) E(H(beta)) + rho d^(k-1)         (Eq. 14)
        t^(k) = E(a) / ln(exp(E(a)/t_0) + k d^(k))                (Eq. 15)
    Until tick 1 the search runs at t_0, between ticks k and k + 1 at t^(k).

    Attributes:
        entropy_gain: lambda > 0 (0.06, 0.12 and 0.24 in Tables 5 and 6).
        momentum: rho in [0, 1).
        initial_temperature: t_0.
        logit_scale: E(a), fixed at the start. Scale it with the standard deviation of the initial logits.
        first_epoch: The k of the first tick in Eq. 15, 1 or 0. With 0 the temperature stays at t_0 up to tick 2.

    Raises:
        UserError: A value out of range, or a t_0 so small that exp(E(a)/t_0) overflows.

    Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", Algorithm 2.
    """

    entropy_gain: float = 0.06
    momentum: float = 0.5
    initial_temperature: float = 1.0
    logit_scale: float = EXPECTED_LOGIT
    first_epoch: int = 1

    def __post_init__(self):
        numbers = {name: getattr(self, name) for name in ("entropy_gain", "initial_temperature", "logit_scale")}
        require_positive(**numbers)
        require_share(below_one=True, momentum=self.momentum)
        if self.first_epoch not in (0, 1):
            raise UserError(f"first_epoch must be 0 or 1. Received: first_epoch={self.first_epoch!r}")
        for name, value in {**numbers, "momentum": self.momentum}.items():
            object.__setattr__(self, name, float(value))
        self.init()  # refuses a t_0 that overflows before any training

    def init(self) -> tuple[TemperatureState, float]:
        excess = excess_of(self.initial_temperature, self.logit_scale)
        return {"exp_increment": 0.0, "exp_temperature": 1 + excess}, self.initial_temperature

    def update(self, state: TemperatureState, tick: int, mean_entropy: float) -> tuple[TemperatureState, float]:
        """First d^exp (Eq. 14), then t (Eq. 15), as in Algorithm 2.

        Raises:
            UserError: An entropy that is negative or not finite.
        """
        # Float32 probabilities may sum to a little over 1, which makes the entropy of one-hot rows about -1e-7.
        if not -1e-5 < mean_entropy < math.inf:
            raise UserError(f"Expected a mean entropy of at least 0 nats. Received: mean_entropy={mean_entropy!r}")
        entropy = max(float(mean_entropy), 0.0)
        increment = self.entropy_gain * (1 - self.momentum) * entropy + self.momentum * state["exp_increment"]
        k = tick - 1 + self.first_epoch
        excess = excess_of(self.initial_temperature, self.logit_scale) + k * increment
        return {"exp_increment": increment, "exp_temperature": 1 + excess}, temperature_of(excess, self.logit_scale)
