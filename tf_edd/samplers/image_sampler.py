"""What a sampler of images is: a description, and what runs in one search."""

from typing import Protocol

import numpy as np
import tensorflow as tf


class RunningImageSampler(Protocol):
    """Gives the order of the training images of one search."""

    @property
    def importance_weights(self) -> bool:
        """Whether the step weighs the losses of images with their `ratios`."""

    @property
    def variables(self) -> list[tf.Variable]:
        """What it has learned, for the checkpoint."""

    def order(self, seed: int, epoch: int) -> np.ndarray | None:
        """Positions of the images of an epoch; None for a random order of all images."""

    def ratios(self, rows: tf.Tensor) -> tf.Tensor | None:
        """Uniform probability divided by q, for the images at these positions; None if the two are equal."""

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """Records, inside the step and on each replica, the norm of each image of the replica's share."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Updates the distribution with what was recorded, after `done` of `epochs` epochs."""


class ImageSampler(Protocol):
    """The description of a sampler of images; it holds no state and serves any number of searches."""

    def build(self, size: int) -> RunningImageSampler:
        """A sampler of `size` images for one search, with its variables; called under the strategy."""
