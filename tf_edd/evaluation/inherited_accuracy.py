"""Accuracy of discrete cells with the weights that they inherit from a supernet."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tf_edd.architectures.genotype import Genotype
from tf_edd.data.images import Images
from tf_edd.errors import UserError
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.supernet import Supernet
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.runtime.strategy import replica_batches


@dataclasses.dataclass(eq=False)
class InheritedAccuracy:
    """`accuracy(genotype)`: top-1 accuracy of a cell with the weights of a supernet; the weights stay.

    The batch norms of a supernet normalise by the batch, so `batch_size` and the order of the images matter, and both
    are the same for every cell. A supernet with moving averages (`running_statistics`) gets them anew for each cell:

        m <- 0;  N times m <- 0.9 m + 0.1 (mean or variance of a training batch);  m <- m / (1 - 0.9^N)

    where the division removes the zero of the start, which for the usual N = 200 is nothing.

    Attributes:
        supernet: built, with its weights.
        images: measured on these, in stored order and without augmentation.
        batch_size: images a batch, over all replicas.
        strategy: the `tf.distribute` strategy.
        train: images for the moving averages.
        augmentation: of those.
        recalibration_batches: N.
        seed: of the order and augmentation of those images, which are the same for every cell.
        epoch: the same; one that no training uses.

    Source of the recalibration: single path one-shot, released code, `src/Search/tester.py` (N = 200, there without
    the division).
    """

    supernet: Supernet
    images: Images
    batch_size: int
    strategy: tf.distribute.Strategy
    train: Images | None = None
    augmentation: Sequence = ()
    recalibration_batches: int = 200
    seed: int = 0
    epoch: int = 0

    def __post_init__(self):
        layers = self.supernet._flatten_layers()  # Keras has no public way to all layers of a subclassed model
        self._norms = [layer for layer in layers if isinstance(layer, BatchNorm) and layer.running_statistics]
        if self._norms and (self.recalibration_batches < 1 or self.train is None):
            raise UserError(
                "Moving averages need training images, and at least one batch of them. Received: "
                f"recalibration_batches={self.recalibration_batches!r}"
            )
        self._evaluate = SupernetEvaluator(self.supernet)
        self._forward = tf.function(self._batch, autograph=False)

    def __call__(self, genotype: Genotype) -> float:
        """Hits / images."""
        probs = genotype.one_hot(self.supernet.space)
        if self._norms:
            self._recalibrate({kind: tf.constant(table) for kind, table in probs.items()})
        return self._evaluate(probs, self.images, self.batch_size, self.strategy)[1]

    def record(self) -> dict:
        """What the accuracies depend on, JSON-able; the weights by a digest."""
        replicas, images = self.strategy.num_replicas_in_sync, self.images.size
        if replicas > 1:  # they leave a last, smaller batch out
            images -= images % self.batch_size
        digest = hashlib.sha256()
        for variable in self.supernet.trainable_variables:
            digest.update(variable.numpy().tobytes())
        fixed = {"images": images, "batch_size": self.batch_size, "replicas": replicas}
        fixed |= {"precision": self.supernet.compute_dtype, "weights": digest.hexdigest()[:16]}
        return {**fixed, "recalibration_batches": self.recalibration_batches} if self._norms else fixed

    def _recalibrate(self, probs: Mapping[str, tf.Tensor]) -> None:
        averages = [average for norm in self._norms for average in (norm.moving_mean, norm.moving_variance)]
        for average in averages:
            average.assign(tf.zeros_like(average))
        count = self._track(probs)
        for norm in self._norms:
            for average in (norm.moving_mean, norm.moving_variance):
                average.assign(average / (1 - norm.momentum**count))

    def _track(self, probs) -> int:
        """Runs N training batches; begins another pass where the images are fewer. Returns N."""
        count, epoch = 0, self.epoch
        while count < self.recalibration_batches:
            batches = self.train.batches(self.batch_size, self.seed, epoch, augment=self.augmentation)
            for images, _ in replica_batches(batches.take(self.recalibration_batches - count), self.strategy):
                self._forward(images, probs)
                count += 1
            epoch += 1
        return count

    def _batch(self, images, probs):
        tf.distribute.get_strategy().run(self._replica, args=(images, probs))

    def _replica(self, images, probs):
        self.supernet(images, probs, training=True, skip_unused=True)
