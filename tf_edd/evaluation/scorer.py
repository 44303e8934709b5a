"""Loss and accuracies of a classifier over a data set, exact for any batch size and number of replicas."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_edd.runtime.strategy import replica_batches

TOP = 5


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of a classifier on some images.

    Attributes:
        loss: Mean cross entropy in nats.
        accuracy: Share of images whose label has the highest logit.
        top_5_accuracy: Share of images whose label is among the five highest; None with five classes or fewer.
        class_accuracy: Accuracy of each class; nan for a class without images.
        images: Number of images.
    """

    loss: float
    accuracy: float
    top_5_accuracy: float | None
    class_accuracy: tuple[float, ...]
    images: int


class Scorer:
    """Scores a classifier under the strategy in whose scope the scorer was created.

    Every batch is padded to the same size with images of label -1, which do not count: no replica is ever without
    images, the function is traced once, and every image has the same weight.

    Args:
        predict: Images -> logits [B, classes], float32.
        num_classes: Number of classes.
    """

    def __init__(self, predict: Callable, num_classes: int):
        self._predict = predict
        self._num_classes = num_classes
        self._strategy = tf.distribute.get_strategy()
        self.function = tf.function(self._batch, autograph=False)

    def __call__(self, batches: tf.data.Dataset, batch_size: int) -> Scores:
        """Scores all batches.

        Args:
            batches: (images, int32 labels), of `batch_size` images except for the last one.
            batch_size: Images per batch, over all replicas.
        """
        replicas = self._strategy.num_replicas_in_sync
        padded = -(-batch_size // replicas) * replicas  # so that each replica gets as many images
        batches = batches.map(lambda images, labels: _pad(images, labels, padded))
        totals = None
        for images, labels in replica_batches(batches, self._strategy):
            sums = {name: value.numpy().astype(np.float64) for name, value in self.function(images, labels).items()}
            totals = sums if totals is None else {name: totals[name] + sums[name] for name in sums}
        return self._scores(totals)

    def _batch(self, images, labels):
        sums = self._strategy.run(self._replica, args=(images, labels))
        return {name: self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums[name], axis=None) for name in sums}

    def _replica(self, images, labels):
        logits = self._predict(images)
        counted = tf.one_hot(labels, self._num_classes)  # a row of zeros for label -1
        real = tf.cast(labels >= 0, tf.float32)
        safe = tf.maximum(labels, 0)
        hits = tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), labels), tf.float32)
        near = tf.cast(tf.math.in_top_k(safe, logits, min(TOP, self._num_classes)), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(safe, logits)
        return {
            "loss": tf.reduce_sum(losses * real),
            "near": tf.reduce_sum(near * real),
            "hits": tf.linalg.matvec(counted, hits, transpose_a=True),
            "count": tf.reduce_sum(counted, 0),
        }

    def _scores(self, totals) -> Scores:
        count = totals["count"].sum()
        with np.errstate(invalid="ignore"):
            by_class = totals["hits"] / totals["count"]
        return Scores(
            loss=float(totals["loss"] / count),
            accuracy=float(totals["hits"].sum() / count),
            top_5_accuracy=float(totals["near"] / count) if self._num_classes > TOP else None,
            class_accuracy=tuple(by_class.tolist()),
            images=int(count),
        )


def _pad(images, labels, batch_size):
    missing = batch_size - tf.shape(labels)[0]
    images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
    labels = tf.pad(labels, [[0, missing]], constant_values=-1)
    return tf.ensure_shape(images, [batch_size, None, None, None]), tf.ensure_shape(labels, [batch_size])
