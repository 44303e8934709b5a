"""Accuracy of discrete cells with the weights they inherit from a supernet."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tf_edd.architectures.genotype import Genotype
from tf_edd.data.images import Images
from tf_edd.errors import UserError
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.runtime.strategy import replica_batches


@dataclasses.dataclass(eq=False)
class InheritedAccuracy:
    """`accuracy(genotype)`: top-1 accuracy of a cell with the weights of a supernet, which do not change.

    The batch norms of a supernet use the statistics of the batch, so `batch_size` and the order of the images matter;
    both are the same for every cell. For a supernet with moving averages (`running_statistics`) these are gathered anew
    for each cell:

        m <- 0;  N times m <- 0.9 m + 0.1 (mean or variance of a training batch);  m <- m / (1 - 0.9^N)

    The division corrects the bias of the initial zero, which is negligible for the usual N = 200.

    Attributes:
        supernet: A built supernet with its weights.
        images: The images on which the accuracy is measured, in stored order and without augmentation.
        batch_size: Images per batch, over all replicas.
        strategy: The `tf.distribute` strategy.
        train: Training images for the moving averages.
        augmentation: Augmentation of the training images.
        recalibration_batches: Number of training batches N.
        seed: Seed of the order and augmentation of the training images, which are the same for every cell.
        epoch: Epoch of the training images; one that no training uses.

    Raises:
        UserError: moving averages without training images, or without a batch of them.

    Source of the recalibration: single path one-shot, released code, `src/Search/tester.py` (N = 200, without the
    division).
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
        layers = self.supernet._flatten_layers()  # Keras has no public access to all layers of a subclassed model
        self._norms = [layer for layer in layers if isinstance(layer, BatchNorm) and layer.running_statistics]
        if self._norms and (self.recalibration_batches < 1 or self.train is None):
            raise UserError(
                "Moving averages need training images, and at least one batch of them. Received: "
                f"recalibration_batches={self.recalibration_batches!r}"
            )
        self._evaluate = SupernetEvaluator(self.supernet)
        self._forward = tf.function(self._batch, autograph=False)

    def __call__(self, genotype: Genotype) -> float:
        """Share of the images that are classified correctly."""
        probs = genotype.one_hot(self.supernet.space)
        if self._norms:
            self._recalibrate({cell_type: tf.constant(table) for cell_type, table in probs.items()})
        return self._evaluate(probs, self.images, self.batch_size, self.strategy)[1]

    def record(self) -> dict:
        """What the accuracies depend on, JSON-able; the weights as a digest."""
        replicas, images = self.strategy.num_replicas_in_sync, self.images.size
        if replicas > 1:  # the evaluator then drops the last, smaller batch
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
        """Runs N training batches, in several passes over the images if they are fewer. Returns N."""
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
        self.supernet(images, probs, training=True, unused=Unused())
