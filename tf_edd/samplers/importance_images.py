"""Images drawn by the norms of the gradients of their losses."""

import numpy as np
import tensorflow as tf

from tf_edd.data.sources import key_rng
from tf_edd.errors import require_share
from tf_edd.part import part
from tf_edd.samplers.state import state_variable

_IMAGES = 0xDA  # the stream of the images' order


@part(module="tf_edd.samplers")
class ImportanceImages:
    """Data importance sampling: images in proportion to n = ||softmax(outputs) - one-hot label||, mixed with uniform.

        q <- tau n / sum n + (1 - tau) / N,   n <- 0                after each epoch
        tau = smoothing * (done - 1) / epochs

    Attributes:
        smoothing: Largest share of the norms in q, in [0, 1]; the share grows linearly from 0 over the epochs.
        importance_weights: Whether to weigh the loss of an image by 1 / (N q), which the theory asks for and the
            released code omits.

    Raises:
        UserError: smoothing outside [0, 1].

    Source: DA of PA&DA, Lu et al., https://arxiv.org/abs/2302.14772.
    """

    smoothing: float = 1.0
    importance_weights: bool = False

    def __post_init__(self):
        require_share(smoothing=self.smoothing)

    def build(self, size: int) -> "RunningImportanceImages":
        return RunningImportanceImages(self, size)


class RunningImportanceImages:
    """See `ImportanceImages`.

    Args:
        settings: The description.
        size: Number of images N.
    """

    def __init__(self, settings: ImportanceImages, size: int):
        self._settings, self._size = settings, size
        self._probs = state_variable(np.full(size, 1 / size), "image_probs")
        self._norms = state_variable(np.zeros(size), "image_norms")

    @property
    def importance_weights(self) -> bool:
        return self._settings.importance_weights

    @property
    def variables(self) -> list[tf.Variable]:
        """q and the norms n."""
        return [self._probs, self._norms]

    def order(self, seed: int, epoch: int, count: int | None = None) -> np.ndarray:
        """The first epoch takes random passes over the images, the others draw with replacement from q."""
        rng, count = key_rng((seed, epoch, _IMAGES)), self._size if count is None else count
        if epoch == 0:
            return np.concatenate([rng.permutation(self._size) for _ in range(0, count, self._size)])[:count]
        return rng.choice(self._size, count, p=self._distribution())

    def ratios(self, rows: tf.Tensor) -> tf.Tensor:
        """1 / (N q); with it as a weight, the expected gradient is that of the mean over all images."""
        return 1 / (self._size * tf.gather(self._probs.read_value(), rows))

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """The norm of an image is the value of its first visit in the epoch, then the mean of itself and the new value.

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
        """q <- tau n / sum n + (1 - tau) / N; n <- 0."""
        tau = self._settings.smoothing * (done - 1) / epochs
        norms = self._norms.numpy().astype(np.float64)
        learned = norms / norms.sum() if norms.sum() > 0 else np.full(self._size, 1 / self._size)
        self._probs.assign((tau * learned + (1 - tau) / self._size).astype(np.float32))
        self._norms.assign(np.zeros(self._size, np.float32))

    def effective_share(self) -> float:
        return float(1 / (self._size * np.square(self._distribution()).sum()))

    def _distribution(self) -> np.ndarray:
        """q in float64, of sum 1."""
        probs = self._probs.numpy().astype(np.float64)
        return probs / probs.sum()
