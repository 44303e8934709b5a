"""The divergence of learned Dirichlet distributions from the flat one."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.errors import UserError, require_positive
from tf_edd.part import part
from tf_edd.regularizers.regularizer import Regularizer, StepContext
from tf_edd.relaxations.dirichlet import Dirichlet, concentrations


@part(module="tf_edd.regularizers")
class DirichletDivergence(Regularizer):
    """Keeps the distributions of `Dirichlet` near the flat one, in the loss of the logits.

        weight * sum_e KL(Dir(c_e) || Dir(1)),   C = sum_o c_o,
        KL = ln Gamma(C) - sum_o ln Gamma(c_o) - ln Gamma(O) + sum_o (c_o - 1) (psi(c_o) - psi(C))

    over the edges of all cell types, O candidates each. The released code takes either this term or a weight decay of
    the logits: bind `arch/Adam.weight_decay = 0.0` with it.

    Attributes:
        weight: Of the sum over the edges.

    Raises:
        UserError: A weight that is not positive, or a search with another relaxation than `Dirichlet`.

    Source: Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021, arXiv 2006.10355, section 3.1;
    released code, `--reg_type kl`, `--reg_scale 1e-3`.
    """

    weight: float = 1e-3

    phases: ClassVar[tuple[str, ...]] = ("arch",)

    def __post_init__(self):
        require_positive(weight=self.weight)
        object.__setattr__(self, "weight", float(self.weight))

    def build(self, supernet, logits, relaxation, temperature) -> "DirichletDivergence":
        candidates = relaxation.relaxation
        if not isinstance(candidates, Dirichlet):
            raise UserError(
                f"DirichletDivergence is for searches with the relaxation Dirichlet(). Received: {candidates!r}"
            )
        return self

    def __call__(self, context: StepContext) -> tf.Tensor:
        return self.weight * sum(tf.reduce_sum(from_flat(concentrations(value))) for value in context.logits.values())


def from_flat(concentration: tf.Tensor) -> tf.Tensor:
    """KL(Dir(c) || Dir(1)) of each row: [E] float32 from [E, O]."""
    total = tf.reduce_sum(concentration, axis=-1, keepdims=True)
    normalizers = tf.math.lgamma(total[:, 0]) - tf.reduce_sum(tf.math.lgamma(concentration), axis=-1)
    slopes = (concentration - 1) * (tf.math.digamma(concentration) - tf.math.digamma(total))
    flat = tf.math.lgamma(tf.cast(concentration.shape[-1], tf.float32))
    return normalizers - flat + tf.reduce_sum(slopes, axis=-1)
