"""Training images that a sampler draws: what it is checked for, what a step tells it, and what it tells the step."""

import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.field_types import kind_of
from tf_edd.part import shown
from tf_edd.samplers import ImageSampler, RunningImageSampler
from tf_edd.steps.step import EpochInfo, StepSetup


def check_running(field: str, sampler, protocol: type) -> None:
    """Refuses what `build` of a sampler has returned, if it lacks a member of the protocol.

    Args:
        field: Of the part, such as "SampledPaths.images".
        sampler: What was built.
        protocol: Of a running sampler.
    """
    if not kind_of(protocol).accepts(sampler):
        kind = field.rpartition(".")[2]
        raise UserError(f"{field}.build must return a running sampler of {kind}. Received: {shown(sampler)}")


def check_images(field: str, sampler: ImageSampler, batches) -> None:
    """Refuses a sampler that is none, orders of another length, and images that cannot be read in its order.

    Args:
        field: Of the part that holds the sampler.
        sampler: Of the training images.
        batches: The `SearchBatches`.
    """
    running = sampler.build(batches.train.size)
    check_running(field, running, RunningImageSampler)
    wanted = batches.ordered_images or batches.train.size
    order = running.order(0, 0, batches.ordered_images)
    if order is None:
        return
    if len(order) != wanted:
        raise UserError(
            f"{field} must give an epoch the positions of {wanted} images, of which there are {batches.train.size}. "
            f"Received: {len(order)} positions from {shown(sampler)}"
        )
    next(iter(batches.epoch(0, 0, 0, order)))


def error_norms(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """||softmax(outputs) - one-hot label|| of each image, [b]: the gradient of its cross entropy by its outputs."""
    return tf.norm(tf.nn.softmax(outputs) - tf.one_hot(labels, outputs.shape[-1]), axis=-1)


class DrawnImages:
    """The training images of a step in one search.

    Args:
        setup: Of the step.
        sampler: The description of their sampler; None for a random order of all images, of which nothing is kept.
    """

    def __init__(self, setup: StepSetup, sampler: ImageSampler | None = None):
        self._setup = setup
        self._sampler = None if sampler is None else sampler.build(setup.train_images)

    @property
    def variables(self) -> dict[str, list[tf.Variable]]:
        """What a checkpoint keeps of them."""
        learned = self._sampler.variables if self._sampler else []
        return {"images": learned} if learned else {}

    def order(self, epoch: int) -> np.ndarray | None:
        """See `Step.image_order`."""
        return self._sampler.order(self._setup.seed, epoch, self._setup.ordered_images) if self._sampler else None

    def weights(self, positions: tf.Tensor | None) -> tf.Tensor | None:
        """The importance weights of the images of a batch, [b]; None if all are 1."""
        weighted = positions is not None and self._sampler is not None and self._sampler.importance_weights
        return self._sampler.ratios(positions) if weighted else None

    def record(self, positions: tf.Tensor | None, norms: tf.Tensor | None) -> None:
        """Tells the sampler the norms of the images of a batch, inside the step and on each replica."""
        if self._sampler is not None and positions is not None:
            self._sampler.record(positions, norms)

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        """Lets the sampler learn; images/effective_share is that of the images which the next epoch draws from."""
        if self._sampler is None:
            return {}
        self._sampler.end_epoch(epoch.epoch + 1, epoch.epochs)
        return {"images/effective_share": self._sampler.effective_share()}
