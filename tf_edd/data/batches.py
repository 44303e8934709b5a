"""The batches of a search: for each phase of its step one of the split that the phase learns from."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tf_edd.data.images import Images
from tf_edd.data.splits import Splits, split, subset
from tf_edd.runtime.strategy import replica_batches

if TYPE_CHECKING:
    from tf_edd.data.images import ImageData


@dataclasses.dataclass(frozen=True)
class SearchBatches:
    """Batches of the two splits of a search.

    Attributes:
        train: images for the weights.
        valid: images for the architecture, and for evaluation.
        batch_size: images of a batch of each split, over all replicas.
        augmentation: of both splits in training.
        strategy: the `tf.distribute` strategy.
        phases: of the step: "weights" takes a batch of the training split, "arch" one of the validation split.
        steps_per_epoch: steps of an epoch, which then goes on in both splits where the one before has ended, however
            large they are; None for one pass over the smaller split.
    """

    train: Images
    valid: Images
    batch_size: int
    augmentation: Sequence
    strategy: tf.distribute.Strategy
    phases: Sequence[str] = ("weights", "arch")
    steps_per_epoch: int | None = None

    @property
    def splits(self) -> dict[str, Images]:
        """Phase -> the images that it takes a batch of."""
        splits = {"weights": self.train, "arch": self.valid}
        return {phase: splits[phase] for phase in ("weights", "arch") if phase in self.phases}

    @property
    def steps(self) -> int:
        """Steps per epoch; the splits may differ in size."""
        if self.steps_per_epoch is not None:
            return self.steps_per_epoch
        return min(images.num_batches(self.batch_size) for images in self.splits.values())

    @property
    def ordered_images(self) -> int | None:
        """Positions of training images that an order of `epoch` needs; None for as many as there are images."""
        return None if self.steps_per_epoch is None else self.steps * self.batch_size

    def epoch(self, seed: int, epoch: int, skip: int = 0, order: np.ndarray | None = None) -> Iterator[dict]:
        """Phase -> (images, labels[, positions]) of each step of an epoch, as `strategy.run` takes them.

        Args:
            seed: of the search.
            epoch: from 0.
            skip: steps to leave out.
            order: positions of the training images, see `ordered_images`; their batches then have the positions too.
        """
        options = {"skip": skip, "augment": self.augmentation}
        if self.steps_per_epoch is not None:
            place = {"first": epoch * self.steps + skip, "steps": self.steps - skip, "augment": self.augmentation}
            sets = {phase: images.stream(self.batch_size, seed, **place) for phase, images in self.splits.items()}
        else:
            sets = {
                phase: images.batches(self.batch_size, seed, epoch, **options) for phase, images in self.splits.items()
            }
        if order is not None:
            train = self.train.batches(self.batch_size, seed, epoch, **options, order=order)
            sets["weights"] = self._with_positions(train, order[skip * self.batch_size :])
        batches = [replica_batches(batches, self.strategy) for batches in sets.values()]
        for parts in zip(*batches, strict=False):
            yield dict(zip(sets, parts, strict=True))

    def _with_positions(self, batches, order) -> tf.data.Dataset:
        positions = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size, drop_remainder=True)
        return tf.data.Dataset.zip(batches, positions).map(lambda batch, rows: (*batch, rows))


def make_splits(images: "ImageData", amounts: tuple, seed: int) -> tuple[Images, Images, dict]:
    """Training and validation images of a search, and what was chosen, for its record.

    Args:
        images: the data set.
        amounts: images of the training and of the validation split, counts or fractions. None for the second is for
            single-level searches: the training images serve as both, in two independent orders.
        seed: of the choice.
    """
    train, valid = amounts
    if valid is None:
        part, record = subset(images.train, train, seed, shuffled=True)
        return part, part.reshuffled(), {**record, "valid": None}
    splits: Splits = split(images.train, train, valid, seed)
    return splits.train, splits.valid, splits.record
