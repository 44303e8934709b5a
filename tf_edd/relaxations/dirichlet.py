"""Weights drawn from a Dirichlet distribution."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation, float32

LEAST = 1e-3  # of a concentration: a gamma variable of a smaller one is 0 in float32 more often than not


@part(module="tf_edd.relaxations")
class Dirichlet(Relaxation):
    """Each edge draws its weights from a Dirichlet distribution whose concentration is learned.

        beta ~ Dir(c),   c = elu(A) + 1
        gamma_o ~ Gamma(c_o, 1),   beta_o = gamma_o / sum_o' gamma_o'

    The gradient goes through the draws, by implicit reparameterization (Figurnov et al., NeurIPS 2018), which
    TensorFlow's gamma variables have. Without noise the weights are the mean of the distribution, c / sum c, of which
    the largest is that of the largest logit. The temperature is not used. Concentrations below 1e-3 are held there.

    Source: Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021, arXiv 2006.10355, section 3.1;
    released code, `201-space/search_model.py`. There the cells are evaluated with drawn weights, here with the mean.
    """

    simplex: ClassVar[bool] = True

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        concentration = concentrations(logits)
        gamma = tf.random.stateless_gamma(tf.shape(concentration), seed, concentration)
        return gamma / tf.reduce_sum(gamma, axis=-1, keepdims=True)

    def mean(self, logits, temperature) -> tf.Tensor:
        concentration = concentrations(logits)
        return concentration / tf.reduce_sum(concentration, axis=-1, keepdims=True)


def concentrations(logits: tf.Tensor) -> tf.Tensor:
    """c = elu(A) + 1, at least 1e-3; [E, O] float32 from [E, O] of any float type."""
    return tf.maximum(tf.nn.elu(float32(logits)) + 1.0, LEAST)
