"""Sparse-noisy softmax: sparse weights whose gradient does not vanish."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.errors import UserError, require_positive
from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation, float32, tempered_softmax

HELD_PRODUCT = 1.0  # s*t of Tables 1 and 7


@part(module="tf_edd.relaxations")
class SparseNoisySoftmax(Relaxation):
    """Sparse-noisy softmax in the two forms of Table 5: with s*t held constant, or with s constant.

        forward      beta = softmax(A / t)                           (Eq. 3)
        backward     (A_t / t + A_st / (s t)) g                      (Eq. 7, 8, Algorithm 1)

    See `sn_softmax`. The noise is in the gradient alone: no random numbers are drawn, and `seed` is not used.

    Attributes:
        smooth_scale: s > 1, constant ("s = 100" in Table 5). When given, s*t is not held constant: leave
            `smooth_temperature` at its default or None; it is then None.
        smooth_temperature: s*t > 0, held constant ("st = 1" in Table 5): s grows as t falls, so that the second term
            of the gradient never saturates.

    Raises:
        UserError: Both or neither are given, s is not above 1, or s*t is not positive.

    Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", section 2.1.
    """

    smooth_scale: float | None = None
    smooth_temperature: float | None = HELD_PRODUCT

    simplex: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __post_init__(self):
        scale, product = self.smooth_scale, self.smooth_temperature
        if scale is None and product is None:
            raise UserError("Give smooth_scale (s) or smooth_temperature (s*t). Received: None for both")
        if scale is None:
            require_positive(smooth_temperature=product)
            object.__setattr__(self, "smooth_temperature", float(product))
            return
        if product not in (None, HELD_PRODUCT):
            raise UserError(
                "Give either smooth_scale (s constant) or smooth_temperature (s*t constant). "
                f"Received: smooth_scale={scale!r}, smooth_temperature={product!r}"
            )
        require_positive(smooth_scale=scale)
        if scale <= 1:
            raise UserError(f"smooth_scale must be above 1 (Eq. 7). Received: smooth_scale={scale!r}")
        object.__setattr__(self, "smooth_scale", float(scale))
        object.__setattr__(self, "smooth_temperature", None)

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        temperature = float32(temperature)
        if self.smooth_scale is None:
            return sn_softmax(logits, temperature, self.smooth_temperature)
        return sn_softmax(logits, temperature, self.smooth_scale * temperature)

    def mean(self, logits, temperature) -> tf.Tensor:
        return tempered_softmax(float32(logits), float32(temperature))


def sn_softmax(logits: tf.Tensor, temperature: tf.Tensor, smooth_temperature: tf.Tensor) -> tf.Tensor:
    """Sparse-noisy softmax: the forward pass of softmax(A / t), and a gradient with a second, smooth term.

        backward     (A_t / t + A_st / (s t)) g,     A_u = diag(p) - p p^T,   p = softmax(A / u)      (Eq. 5, 7, 8)

    Where the forward pass is saturated, the first term is zero and the second still moves the logits. The two
    temperatures get no gradient (None). At s = 1 both terms are equal and the gradient is doubled, as it is in the
    first epoch when s*t is held at 1 and t starts at 1.

    Args:
        logits: [E, O], any float type.
        temperature: t > 0, a scalar.
        smooth_temperature: s*t > 0, a scalar.

    Returns:
        Probabilities [E, O] float32.

    Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", Algorithm 1.
    """
    return _sn_softmax(float32(logits), float32(temperature), float32(smooth_temperature))


@tf.custom_gradient
def _sn_softmax(logits: tf.Tensor, temperature: tf.Tensor, smooth_temperature: tf.Tensor):
    probs = tempered_softmax(logits, temperature)

    def gradient(upstream):
        smooth = tempered_softmax(logits, smooth_temperature)
        sharp_term = _jacobian_product(probs, upstream) / temperature
        noise_term = _jacobian_product(smooth, upstream) / smooth_temperature
        return sharp_term + noise_term, None, None

    return probs, gradient


def _jacobian_product(probs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """(diag(p) - p p^T) g of each row: the matrix of Eq. 5 times the upstream gradient, without forming the matrix.

    The matrix takes constants to zero, so the gradient of the largest candidate is subtracted first: where a row is
    nearly one-hot, float32 would lose the product in the difference of two almost equal numbers.
    """
    largest = tf.argmax(probs, axis=-1, output_type=tf.int32)
    upstream = upstream - tf.gather(upstream, largest[..., tf.newaxis], axis=-1, batch_dims=probs.shape.rank - 1)
    return probs * (upstream - tf.reduce_sum(probs * upstream, axis=-1, keepdims=True))
