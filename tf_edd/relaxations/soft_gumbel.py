"""Weights drawn from the concrete distribution."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.gumbel import expected_choice, gumbel_softmax
from tf_edd.relaxations.relaxation import Relaxation


@part(module="tf_edd.relaxations")
class SoftGumbel(Relaxation):
    """Each edge draws its weights from the concrete distribution, by a softmax of noisy logits.

        beta = softmax((ln softmax(A) + G) / t),   G ~ Gumbel(0, 1)

    The gradient goes through the softmax. As t falls the weights become one-hot, candidate o with probability
    softmax(A)_o. These probabilities are the weights without noise, at any temperature.

    Source: Xie et al., "SNAS: Stochastic Neural Architecture Search", ICLR 2019, arXiv 1812.09926; Maddison et al.,
    "The Concrete Distribution", ICLR 2017, arXiv 1611.00712.
    """

    simplex: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        return gumbel_softmax(logits, temperature, seed)

    def mean(self, logits, temperature) -> tf.Tensor:
        return expected_choice(logits)
