"""Loss and accuracy of a supernet under given probabilities."""

import numpy as np
import tensorflow as tf

from tf_edd.networks.moment import Moment
from tf_edd.networks.unused import Unused
from tf_edd.runtime.strategy import replica_batches


class SupernetEvaluator:
    """Evaluates a supernet on images; one trace serves all mixtures, another one all discrete cells.

    Args:
        supernet: `supernet(images, probs, training)`, with `moment` where a progress is given.
    """

    def __init__(self, supernet):
        self._supernet = supernet
        self.function = tf.function(self._batch, autograph=False)

    def __call__(self, probs, images, batch_size, strategy, progress: float | None = None) -> tuple[float, float]:
        """Mean loss and accuracy.

        Args:
            probs: Cell type -> probabilities [E, O].
            images: `Images`; they are read in stored order, without augmentation.
            batch_size: Images per batch. With several replicas the last, smaller batch is dropped.
            strategy: The `tf.distribute` strategy.
            progress: Share of the search that is done, for what surrounds the edges of a mixture; None for none of it,
                as in a discretized cell.
        """
        batches = images.batches(
            batch_size, seed=0, epoch=0, shuffle=False, drop_remainder=strategy.num_replicas_in_sync > 1
        )
        discrete = progress is None and all(_is_discrete(np.asarray(table)) for table in probs.values())
        probs = {cell_type: tf.constant(value, tf.float32) for cell_type, value in probs.items()}
        progress = None if progress is None else tf.constant(progress, tf.float32)
        sums = [self.function(*batch, probs, discrete, progress) for batch in replica_batches(batches, strategy)]
        count, loss, hits = tf.reduce_sum(tf.stack(sums), axis=0).numpy().tolist()
        return loss / count, hits / count

    def _batch(self, images, labels, probs, discrete, progress):
        strategy = tf.distribute.get_strategy()
        sums = strategy.run(self._replica, args=(images, labels, probs, discrete, progress))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _replica(self, images, labels, probs, discrete, progress):
        options = {} if progress is None else {"moment": Moment(progress)}
        outputs = self._supernet(images, probs, training=False, unused=Unused(), single_path=discrete, **options)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        hits = tf.cast(tf.equal(tf.argmax(outputs, -1, labels.dtype), labels), tf.float32)
        return tf.stack([tf.cast(tf.size(labels), tf.float32), tf.reduce_sum(losses), tf.reduce_sum(hits)])


def _is_discrete(table) -> bool:
    """Whether each row has at most one entry, of 1."""
    return bool(np.isin(table, (0, 1)).all() and (table.sum(axis=1) <= 1).all())
