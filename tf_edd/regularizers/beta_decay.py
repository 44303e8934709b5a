"""Beta decay: a pull on the logits of each edge that grows during the search."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.errors import require_positive
from tf_edd.part import part
from tf_edd.regularizers.regularizer import Regularizer, StepContext


@part(module="tf_edd.regularizers")
class BetaDecay(Regularizer):
    """Beta decay, which keeps the probabilities of an edge close to each other.

        weight * progress * mean_e ln sum_o exp(A_eo)

    in the loss of the logits, over the edges of all cell types together; its gradient is weight * progress *
    softmax(A_e) / E, so that the likeliest candidate of an edge is pulled most. Progress rises from 0 to 1 with the
    steps of the search; the released code raises it from epoch to epoch.

    The pull acts on logits of the size of 1. Where a small temperature makes logits of 1e-3 matter, softmax(A) is even
    and the pull only shifts them: `tempered` then takes A / t in place of A.

    Attributes:
        weight: lambda at the end of the search.
        tempered: Whether the logits are divided by the temperature.

    Raises:
        UserError: A weight that is not positive.

    Source: Ye et al., "beta-DARTS: Beta-Decay Regularization for Differentiable Architecture Search", arXiv 2203.01665;
    released code, `optimizers/darts/architect.py` (lambda from 0 to 50).
    """

    weight: float = 50.0
    tempered: bool = False

    phases: ClassVar[tuple[str, ...]] = ("arch",)

    def __post_init__(self):
        require_positive(weight=self.weight)
        object.__setattr__(self, "weight", float(self.weight))

    def __call__(self, context: StepContext) -> tf.Tensor:
        scale = 1 / context.temperature if self.tempered else 1.0
        edges = tf.concat([tf.reduce_logsumexp(value * scale, axis=-1) for value in context.logits.values()], axis=0)
        return self.weight * tf.cast(context.progress, tf.float32) * tf.reduce_mean(edges)
