"""Optimizers with the semantics of the reference implementations, and the way from gradients to an update.

Keras' own optimizers differ in ways that change results silently: their `weight_decay` is decoupled from the gradient,
their SGD keeps the learning rate inside the velocity (so that momentum remembers old rates), and their Adam has another
epsilon.

    SGD                      for the weights
    Adam                     for the architecture logits
    ExponentiatedGradient    for logits that stand for points of the simplex (GAEA)
"""

from tf_edd.optimizers.adam import Adam
from tf_edd.optimizers.exponentiated_gradient import ExponentiatedGradient
from tf_edd.optimizers.optimizer import LooksAhead, Selective, own_optimizer, unscaled
from tf_edd.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "ExponentiatedGradient", "LooksAhead", "Selective", "own_optimizer", "unscaled"]
