"""A weight of its own for each candidate."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation, float32


@part(module="tf_edd.relaxations")
class Sigmoid(Relaxation):
    """Candidates that do not compete: each has a weight in (0, 1) of its own.

        p = 1 / (1 + exp(-A / t))

    Fair-DARTS has t = 1. Rows do not sum to 1. It draws no random numbers: `seed` is not used.

    Source: Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV 2020,
    arXiv 1911.12126.
    """

    simplex: ClassVar[bool] = False
    shift_invariant: ClassVar[bool] = False

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        return tf.sigmoid(float32(logits) / float32(temperature))

    def mean(self, logits, temperature) -> tf.Tensor:
        return self(logits, temperature)
