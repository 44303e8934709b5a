"""Softmax whose gradient is that of the weights themselves."""

from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation, float32, tempered_softmax


@part(module="tf_edd.relaxations")
class MirrorSoftmax(Relaxation):
    """Logits that stand for a point of the simplex: the forward pass of softmax, and the gradient of that point.

        forward      theta = softmax(A / t)
        backward     g = dL/dtheta, in place of the gradient of the logits

    Gradient descent on A is then exponentiated gradient on theta, at t = 1: theta' ~ theta exp(-rate dL/dtheta), which
    is mirror descent with the entropy as its mirror map. `tf_edd.optimizers.ExponentiatedGradient` makes such updates.
    It draws no random numbers: `seed` is not used.

    Source: Li et al., "Geometry-Aware Gradient Algorithms for Neural Architecture Search", ICLR 2021, arXiv 2004.07802;
    released code, liamcli/gaea_release, `cnn/architect/architect_edarts.py`, which stores theta itself.
    """

    simplex: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __call__(self, logits, temperature, seed=None) -> tf.Tensor:
        return _straight(float32(logits), float32(temperature))

    def mean(self, logits, temperature) -> tf.Tensor:
        return tempered_softmax(float32(logits), float32(temperature))


@tf.custom_gradient
def _straight(logits: tf.Tensor, temperature: tf.Tensor):
    return tempered_softmax(logits, temperature), lambda upstream: (upstream, None)
