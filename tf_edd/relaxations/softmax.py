"""Softmax with a temperature."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation, float32, tempered_softmax


@part(module="tf_edd.relaxations")
class Softmax(Relaxation):
    """Softmax with a temperature, with its own gradient.

        beta = softmax(A / t)         (Eq. 3)

    DARTS has t = 1; with a schedule it is the "normal softmax" of Tables 5 and 6 of EDD-DARTS. It draws no random
    numbers: `seed` is not used.

    Source: Liu et al., "DARTS: Differentiable Architecture Search", arXiv 1806.09055.
    """

    simplex: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        return tempered_softmax(float32(logits), float32(temperature))

    def mean(self, logits, temperature) -> tf.Tensor:
        return self(logits, temperature)
