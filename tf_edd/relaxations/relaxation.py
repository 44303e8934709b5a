"""The interface of relaxations, and the softmax that they share."""

from abc import abstractmethod
from typing import ClassVar, Protocol

import tensorflow as tf


class Relaxation(Protocol):
    """Turns architecture logits into the weights of the candidates; nothing else does.

    A relaxation is a frozen dataclass. One that inherits from this class promises nothing unless it says so.
    """

    simplex: ClassVar[bool] = False
    """Whether each row of the result is a distribution."""

    shift_invariant: ClassVar[bool] = False
    """Whether adding a constant to all logits of an edge changes nothing."""

    one_hot: ClassVar[bool] = False
    """Whether each row of a training pass is a single 1 among zeros, so that a step runs one candidate an edge."""

    @abstractmethod
    def __call__(self, logits: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The weights of one training pass.

        Args:
            logits: [E, O], any float type.
            temperature: t > 0, a scalar.
            seed: int32 [2], for relaxations that draw random numbers.

        Returns:
            [E, O] float32.
        """

    @abstractmethod
    def mean(self, logits: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """The weights [E, O] float32 without noise, for entropy, genotype and evaluation."""


def one_hot(relaxation: Relaxation) -> bool:
    """Its promise; one that does not inherit from `Relaxation` promises nothing unless it says so."""
    return getattr(relaxation, "one_hot", Relaxation.one_hot)


def float32(value) -> tf.Tensor:
    """A tensor or number as a float32 tensor."""
    return tf.cast(tf.convert_to_tensor(value), tf.float32)


def tempered_softmax(logits: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """softmax(A / t), Eq. 3, of float32 logits.

    The maximum is subtracted before the division, whose rounding would swallow small differences.
    """
    centered = logits - tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True))
    return tf.nn.softmax(centered / temperature, axis=-1)
