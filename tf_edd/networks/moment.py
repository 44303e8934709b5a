"""When a pass through the supernet is made: what surrounds the candidates of an edge may follow it."""

from typing import NamedTuple

import tensorflow as tf


class Moment(NamedTuple):
    """The moment of a pass.

    Attributes:
        progress: the share of the search that is done, a scalar float32 from 0 to 1.
        seed: int32 [2], equal on all replicas, of what a training pass draws; None where nothing is drawn.
    """

    progress: tf.Tensor
    seed: tf.Tensor | None = None

    def within(self, number: int) -> "Moment":
        """The same moment with random numbers of its own, for a cell or an edge of this number."""
        return self if self.seed is None else self._replace(seed=tf.random.fold_in(self.seed, number))
