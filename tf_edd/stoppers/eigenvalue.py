"""Early stopping by the sharpness of the validation loss."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from tf_edd.errors import require_count, require_positive
from tf_edd.part import part
from tf_edd.spaces.space import Space
from tf_edd.stoppers.stopper import Verdict

EIGENVALUE = "sharpness/eigenvalue"


@part(module="tf_edd.stoppers")
class EigenvalueStop:
    """Ends a search when the dominant eigenvalue has grown too fast, and takes the cell from before (DARTS-ES).

    lambda_n is the n-th eigenvalue that the epochs have recorded. The average lambda~_i over `window` of them has the
    number of the one in its middle; the first averages have fewer. After each new one, with i = n - floor(window / 2),

        stop if lambda~_i / lambda~_(i - delta) > factor,      the cell is that of the epoch of lambda_(i - delta)

    from the i on for which that epoch is `first_epoch` or a later one; never after the last epoch. A ratio counts only
    where the earlier average is positive.

    The defaults are those of the released code, with an eigenvalue every second epoch (`Sharpness.every_epochs = 2`).
    The paper has an eigenvalue each epoch, `delta = 5` and lambda~_(i - 5) / lambda~_i < 0.75, `factor = 4 / 3`.

    Attributes:
        factor: Largest growth of the average, above 0.
        window: Eigenvalues of an average.
        delta: So many eigenvalues lie between the two averages.
        first_epoch: First epoch, from 1, whose cell may be taken; the released code counts from 0 and has 10.

    Raises:
        UserError: A value out of range; before the search begins, where no action measures the eigenvalue.

    Source: Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020, arXiv
    1909.09656; released code, automl/RobustDARTS, `src/utils.py`, `EVLocalAvg`.
    """

    factor: float = 1.3
    window: int = 5
    delta: int = 4
    first_epoch: int = 11

    reads: ClassVar[tuple[str, ...]] = (EIGENVALUE,)

    def __post_init__(self):
        require_positive(factor=self.factor)
        require_count(window=self.window, delta=self.delta, first_epoch=self.first_epoch)

    def __call__(self, history: Sequence[Mapping], space: Space, epochs: int) -> Verdict | None:
        rows = [row for row in history if EIGENVALUE in row]
        before = len(rows) - self.delta  # the number of eigenvalues when the earlier average was taken
        if len(history) >= epochs or before <= self.window // 2:
            return None
        taken, middle = (rows[count - 1 - self.window // 2]["epoch"] for count in (before, len(rows)))
        earlier, now = (self._average(rows[:count]) for count in (before, len(rows)))
        if taken < self.first_epoch or earlier <= 0 or now / earlier <= self.factor:
            return None
        return Verdict(
            taken,
            f"the dominant eigenvalue of the validation loss has grown from {earlier:.3g} around epoch {taken} to "
            f"{now:.3g} around epoch {middle}, by more than {self.factor:.3g} times",
        )

    def _average(self, rows: Sequence[Mapping]) -> float:
        return float(np.mean([row[EIGENVALUE] for row in rows[-self.window :]]))
