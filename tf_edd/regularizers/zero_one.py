"""A push of the weights of the candidates towards 0 and 1."""

from collections.abc import Sequence

import tensorflow as tf

from tf_edd.errors import require_one_of, require_positive
from tf_edd.part import part
from tf_edd.regularizers.regularizer import PHASES, Regularizer, StepContext, check_phases

NORMS = ("l2", "l1")


@part(module="tf_edd.regularizers")
class ZeroOneLoss(Regularizer):
    """The zero-one loss of Fair-DARTS.

        l2    -weight mean (p - 1/2)^2
        l1    -weight mean |p - 1/2|

    over the weights p of all candidates of all edges and cell types together. It has no gradient with respect to the
    weights of the network: in their phase it only joins the loss that is shown.

    Attributes:
        weight: Of the mean.
        norm: "l2" or "l1".
        phases: In whose loss it is; both in the released code.

    Raises:
        UserError: A weight that is not positive, another norm, or no phase.

    Source: Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV 2020,
    arXiv 1911.12126; released code, xiaomi-automl/FairDARTS, `fairdarts/separate_loss.py`.
    """

    weight: float = 10.0
    norm: str = "l2"
    phases: Sequence[str] = PHASES

    def __post_init__(self):
        require_positive(weight=self.weight)
        require_one_of(NORMS, norm=self.norm)
        object.__setattr__(self, "weight", float(self.weight))
        check_phases(self.phases)
        object.__setattr__(self, "phases", tuple(self.phases))

    def __call__(self, context: StepContext) -> tf.Tensor:
        weights = tf.concat([tf.reshape(table, [-1]) for table in context.probs.values()], axis=0)
        distances = tf.square(weights - 0.5) if self.norm == "l2" else tf.abs(weights - 0.5)
        return -self.weight * tf.reduce_mean(distances)
