"""The images of a retraining: those to train on, epoch by epoch, and those held out to choose the best network by."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_edd.data import Augmentation, Images, split
from tf_edd.errors import UserError, require_count


@dataclasses.dataclass(frozen=True)
class TrainingImages:
    """The images of a retraining, and how long an epoch is.

    Attributes:
        train: The images to train on.
        held_out: Training images to choose the best network by, or None.
        split: Which images they are, for the record.
        batch_size: Images per step, over all replicas.
        seed: Of order and augmentation.
        augmentation: Of the images to train on.
        steps_per_epoch: Length of an epoch; None for one pass over the images.
    """

    train: Images
    held_out: Images | None
    split: dict
    batch_size: int
    seed: int
    augmentation: tuple[Augmentation, ...]
    steps_per_epoch: int | None = None

    @classmethod
    def make(
        cls,
        images: Images,
        valid: int | float,
        batch_size: int,
        seed: int,
        augmentation: tuple[Augmentation, ...],
        steps_per_epoch: int | None,
    ) -> "TrainingImages":
        """Divides the training images of a data set; see `retrain` for the arguments.

        Raises:
            UserError: A number that is not possible, or a batch that is larger than the data of an epoch.
        """
        if steps_per_epoch is not None:
            require_count(note=" or None", steps_per_epoch=steps_per_epoch)
            steps_per_epoch = int(steps_per_epoch)
        train, held_out, chosen = _hold_out(images, valid, seed)
        if steps_per_epoch is None and batch_size > train.size:
            raise UserError(
                f"batch_size must not exceed the {train.size} images, unless steps_per_epoch is given. "
                f"Received: batch_size={batch_size}"
            )
        return cls(train, held_out, chosen, batch_size, seed, augmentation, steps_per_epoch)

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.steps_per_epoch or self.train.num_batches(self.batch_size)

    @property
    def left_out(self) -> str:
        """How many images an epoch leaves out, for people; empty for few, and where passes follow without a gap."""
        return "" if self.steps_per_epoch else self.train.left_out(self.batch_size)

    def passes(self, epochs: int) -> float:
        """Passes over the images in so many epochs."""
        return epochs * self.steps * self.batch_size / self.train.size

    def batches(self, epoch: int, position: int = 0) -> tf.data.Dataset:
        """The batches of an epoch, from 0, without the first `position` of them."""
        if self.steps_per_epoch is None:
            return self.train.batches(self.batch_size, self.seed, epoch, position, augment=self.augmentation)
        first = epoch * self.steps + position
        return self.train.stream(self.batch_size, self.seed, first, self.steps - position, augment=self.augmentation)


def _hold_out(images: Images, valid, seed: int) -> tuple[Images, Images | None, dict]:
    """Images to train on, images held out (or None), and what was chosen, for the record."""
    valid = valid.item() if isinstance(valid, np.generic) else valid
    if not valid:
        return images, None, {"train": images.size, "valid": 0}
    held_out = int(valid * images.size + 1e-6) if isinstance(valid, float) and 0 < valid < 1 else valid
    if not isinstance(held_out, int) or not 0 < held_out < images.size:
        raise UserError(f"valid must be a fraction in [0, 1) or a count below {images.size}. Received: valid={valid!r}")
    splits = split(images, images.size - held_out, held_out, seed)
    return splits.train, splits.valid, splits.record
