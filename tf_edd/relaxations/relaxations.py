"""Relaxations: from architecture logits A [E, O] to the probabilities beta [E, O] that weight the candidates.

Everything is computed in float32, whatever the precision of the network: at t = 1e-4 a half-precision logit
difference is lost. E = edges, O = candidate operations.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Protocol

import gin
import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError

_TINY = float(np.finfo(np.float32).tiny)


class Relaxation(Protocol):
    """Turns architecture logits into probabilities; the only place where that happens."""

    def __call__(self, logits: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Probabilities [E, O] float32 of one training step; `seed` is an int32[2] tensor."""

    def mean(self, logits: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """The distribution [E, O] without noise: of entropy, genotype and evaluation."""


def _float32(value) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(value), tf.float32)


def _tempered_softmax(logits: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """softmax(A / t), Eq. 3; the maximum goes before the division, whose rounding would swallow differences."""
    centred = logits - tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True))
    return tf.nn.softmax(centred / temperature, axis=-1)


def _jacobian_product(probs: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """(diag(p) - p p^T) g for each row, the matrix of Eq. 5 times the upstream gradient, without forming it."""
    return probs * (upstream - tf.reduce_sum(probs * upstream, axis=-1, keepdims=True))


@tf.custom_gradient
def _sn_softmax(logits: tf.Tensor, temperature: tf.Tensor, smooth_temperature: tf.Tensor):
    probs = _tempered_softmax(logits, temperature)

    def gradient(upstream):
        smooth = _tempered_softmax(logits, smooth_temperature)
        sharp_term = _jacobian_product(probs, upstream) / temperature
        noise_term = _jacobian_product(smooth, upstream) / smooth_temperature
        return sharp_term + noise_term, None, None

    return probs, gradient


def sn_softmax(logits: tf.Tensor, temperature: tf.Tensor, smooth_temperature: tf.Tensor) -> tf.Tensor:
    """Sparse-noisy softmax, Algorithm 1: forward softmax(A/t), backward A_t/t + A_st/(st), Eq. 7 and 8.

    A_u is the matrix diag(p) - p p^T of Eq. 5 with p = softmax(A/u). Where the forward pass is saturated the first term
    is zero and the second still moves the logits. There is no gradient to the two temperatures (None).

    At s = 1 (t = st, as in the first epoch when s*t is held at 1) both terms coincide and the gradient is doubled.

    Args:
        logits: [E, O], any float type.
        temperature: t > 0, a scalar.
        smooth_temperature: s*t > 0, a scalar.

    Returns:
        Probabilities [E, O] float32.

    Source: Zhang and Ding, "Small Temperature is All You Need for Differentiable Architecture Search", section 2.1.
    """
    return _sn_softmax(_float32(logits), _float32(temperature), _float32(smooth_temperature))


@dataclasses.dataclass(frozen=True)
class Softmax:
    """softmax(A/t) with its own gradient."""

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        """Probabilities [E, O] float32; `seed` is not used."""
        return _tempered_softmax(_float32(logits), _float32(temperature))

    def mean(self, logits, temperature) -> tf.Tensor:
        """The same distribution [E, O]."""
        return self(logits, temperature)


@dataclasses.dataclass(frozen=True)
class SparseNoisySoftmax:
    """sn-softmax with s fixed (`smooth_scale`) or with s*t fixed (`smooth_temperature`, where the former is None)."""

    smooth_scale: float | None
    smooth_temperature: float | None

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        """Probabilities [E, O] float32; `seed` is not used, for the noise is in the gradient."""
        temperature = _float32(temperature)
        if self.smooth_scale is None:
            return sn_softmax(logits, temperature, self.smooth_temperature)
        return sn_softmax(logits, temperature, self.smooth_scale * temperature)

    def mean(self, logits, temperature) -> tf.Tensor:
        """softmax(A/t) [E, O]: the forward pass."""
        return _tempered_softmax(_float32(logits), _float32(temperature))


@gin.configurable(module="tf_edd.relaxations.relaxations")
def softmax() -> Softmax:
    """Softmax with temperature, Eq. 3: DARTS at t = 1, the rows "normal softmax" of Tables 5 and 6."""
    return Softmax()


@gin.configurable(module="tf_edd.relaxations.relaxations")
def sparse_noisy_softmax(
    smooth_scale: float | None = None, smooth_temperature: float | None = 1.0
) -> SparseNoisySoftmax:
    """Sparse-noisy softmax, Algorithm 1 and Eq. 7, in the two forms of Table 5.

    Args:
        smooth_scale: s > 1, constant ("s = 100"). When given, s*t is not held and `smooth_temperature` stays at its
            default or is None.
        smooth_temperature: s*t > 0, held constant ("st = 1"): s grows as t falls, so it never saturates.

    Raises:
        UserError: both or none given, s <= 1, or s*t <= 0.
    """
    if smooth_scale is None and smooth_temperature is None:
        raise UserError("Give smooth_scale (s) or smooth_temperature (s*t). Received: None for both")
    if smooth_scale is None:
        if not 0 < smooth_temperature < float("inf"):
            raise UserError(f"smooth_temperature must be above 0. Received: smooth_temperature={smooth_temperature!r}")
        return SparseNoisySoftmax(None, float(smooth_temperature))
    if smooth_temperature not in (None, 1.0):
        raise UserError(
            "Give either smooth_scale (s constant) or smooth_temperature (s*t constant). "
            f"Received: smooth_scale={smooth_scale!r}, smooth_temperature={smooth_temperature!r}"
        )
    if not 1 < smooth_scale < float("inf"):
        raise UserError(f"smooth_scale must be above 1 (Eq. 7). Received: smooth_scale={smooth_scale!r}")
    return SparseNoisySoftmax(float(smooth_scale), None)


def entropy(probs: tf.Tensor) -> tf.Tensor:
    """Entropy [E] in nats of each row of `probs` [E, O]; 0 log 0 = 0, and the gradient is finite there."""
    probs = _float32(probs)
    return -tf.reduce_sum(probs * tf.math.log(tf.maximum(probs, _TINY)), axis=-1)


def mean_entropy(probs: Mapping[str, tf.Tensor] | Iterable[tf.Tensor]) -> tf.Tensor:
    """E(H(beta)), Eq. 13: the mean entropy, in nats, over all edges of all cell kinds together (a scalar).

    Args:
        probs: the probabilities [E, O] of each cell kind, as a dict or a list; E and O may differ.
    """
    tables = probs.values() if isinstance(probs, Mapping) else probs
    return tf.reduce_mean(tf.concat([entropy(table) for table in tables], axis=0))
