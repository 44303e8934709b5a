"""The exponential temperature t^exp = exp(E(a) / t), in which the exponential schedules step evenly (Eq. 10 to 12).

Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", section 2.2.
"""

import math

from tf_edd.errors import UserError, require_positive

# E(a) of logits drawn as 1e-3 * N(0, 1), section 2.2: the mean of max(a, 0). The paper rounds it to 4e-4.
EXPECTED_LOGIT = 1e-3 * math.sqrt(2 / math.pi) / 2


def excess_of(temperature: float, logit_scale: float) -> float:
    """t^exp - 1 (Eq. 10). As t^exp is close to 1 at the start, its excess over 1 keeps the digits that ln needs.

    Raises:
        UserError: An argument that is not positive, or an exponential that overflows.
    """
    require_positive(logit_scale=logit_scale, temperature=temperature)
    if logit_scale / temperature > 700:
        raise UserError(
            f"temperature {temperature!r} is too small for logit_scale {logit_scale!r}: exp(E(a)/t) overflows. "
            f"Received: E(a)/t = {logit_scale / temperature:.4g}, expected at most 700"
        )
    return math.expm1(logit_scale / temperature)


def temperature_of(excess: float, logit_scale: float) -> float:
    """t = E(a) / ln(t^exp), Eq. 12; positive because t^exp is above 1.

    Raises:
        UserError: An excess that is not positive and finite.
    """
    if not 0 < excess < math.inf:
        raise UserError(f"The temperature needs t^exp above 1 and finite (Eq. 12). Received: t^exp={1 + excess!r}")
    return logit_scale / math.log1p(excess)
