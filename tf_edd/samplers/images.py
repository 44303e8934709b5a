"""Samplers of images; see the package."""

import dataclasses
from typing import Protocol

import gin
import numpy as np
import tensorflow as tf

from tf_edd.data.sources import key_rng
from tf_edd.samplers.state import check_share, state_variable

_IMAGES = 0xDA  # the stream of the images' order


class ImageSampler(Protocol):
    """Gives the order of the training images."""

    def build(self, size: int) -> None:
        """Makes its variables for so many images; called once, under the strategy."""

    @property
    def variables(self) -> list[tf.Variable]:
        """For the checkpoint."""

    def order(self, seed: int, epoch: int) -> np.ndarray | None:
        """Positions of the epoch's images; None for a random order of all."""

    importance_weights: bool

    def ratios(self, rows: tf.Tensor) -> tf.Tensor | None:
        """Uniform probability / q of the images at these positions; None for 1. See `PathSampler`."""

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """Inside the step, on each replica: notes the norm of each image of its share."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Takes what was noted into the distribution, after `done` of `epochs` epochs."""


@dataclasses.dataclass(eq=False)
class UniformImages:
    """See `uniform_images`."""

    importance_weights = False

    def build(self, size: int) -> None:
        """Nothing is needed."""

    @property
    def variables(self) -> list[tf.Variable]:
        """None: it learns nothing."""
        return []

    def order(self, seed: int, epoch: int) -> None:
        """A random order of all."""

    def ratios(self, rows: tf.Tensor) -> None:
        """1."""

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """Nothing is learnt."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Nothing changes."""


@dataclasses.dataclass(eq=False)
class ImportanceImages:
    """See `importance_images`."""

    smoothing: float
    importance_weights: bool

    def build(self, size: int) -> None:
        """Makes q, uniform, and the norms, zero."""
        self._size = size
        self._probs = state_variable(np.full(size, 1 / size), "image_probs")
        self._norms = state_variable(np.zeros(size), "image_norms")

    @property
    def variables(self) -> list[tf.Variable]:
        """q and the norms."""
        return [self._probs, self._norms]

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The first epoch takes each image once, the others as many draws with replacement from q."""
        rng = key_rng((seed, epoch, _IMAGES))
        if epoch == 0:
            return rng.permutation(self._size)
        probs = self._probs.numpy().astype(np.float64)
        return rng.choice(self._size, self._size, p=probs / probs.sum())

    def ratios(self, rows: tf.Tensor) -> tf.Tensor:
        """1 / (N q): with it the gradient is that of the mean over all images, without it the released code's."""
        return 1 / (self._size * tf.gather(self._probs.read_value(), rows))

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """An image's norm is the value of its first visit in the epoch, then the mean of itself and the new value.

        The visits of a batch that holds an image several times count one after the other, in closed form: the j-th of
        k values has the weight 2^-(k - j + 1), the first of an epoch twice that.
        """
        rows = tf.cast(rows, tf.int32)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            rows, values = context.all_gather(rows, axis=0), context.all_gather(values, axis=0)
        now = self._norms.read_value()
        same = tf.cast(rows[:, None] == rows[None], tf.float32)
        earlier, later = (tf.reduce_sum(tf.linalg.band_part(same, *band), 1) - 1 for band in ((-1, 0), (0, -1)))
        first = (earlier == 0) & (tf.gather(now, rows) == 0)
        weights = tf.pow(2.0, -later - tf.where(first, 0.0, 1.0))
        visits = tf.stack([weights * values, tf.ones_like(values)], 1)
        sums = tf.math.unsorted_segment_sum(visits, rows, self._size)
        self._norms.assign(now * tf.pow(2.0, -sums[:, 1]) + sums[:, 0])

    def end_epoch(self, done: int, epochs: int) -> None:
        """q <- tau n / sum n + (1 - tau) / N, tau = smoothing * (done - 1) / epochs; n <- 0."""
        tau = self.smoothing * (done - 1) / epochs
        norms = self._norms.numpy().astype(np.float64)
        learnt = norms / norms.sum() if norms.sum() > 0 else np.full(self._size, 1 / self._size)
        self._probs.assign((tau * learnt + (1 - tau) / self._size).astype(np.float32))
        self._norms.assign(np.zeros(self._size, np.float32))


@gin.configurable(module="tf_edd.samplers")
def uniform_images() -> UniformImages:
    """Every image once an epoch, in a random order."""
    return UniformImages()


@gin.configurable(module="tf_edd.samplers")
def importance_images(smoothing: float = 1.0, importance_weights: bool = False) -> ImportanceImages:
    """Data importance sampling: images in proportion to ||softmax(outputs) - one-hot label||, mixed with uniform.

    Args:
        smoothing: largest share of the norms in q; it grows linearly from 0 over the epochs.
        importance_weights: weigh an image's loss by 1 / (N q), which the theory asks for and the released code omits.

    Raises:
        UserError: smoothing outside [0, 1].
    """
    return ImportanceImages(check_share("smoothing", smoothing), importance_weights)
