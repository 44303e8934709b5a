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

    def order(self, seed: int, epoch: int, count: int | None = None) -> np.ndarray | None:
        """Positions of the images of an epoch, `count` of them; None for a random order of all images.

        Args:
            seed: Of the search.
            epoch: From 0.
            count: How many images the epoch takes; None for as many as there are.
        """

    def ratios(self, rows: tf.Tensor) -> tf.Tensor | None:
        """Uniform probability divided by q, for the images at these positions; None if the two are equal."""

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        """Records, inside the step and on each replica, the norm of each image of the replica's share."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Updates the distribution with what was recorded, after `done` of `epochs` epochs."""

    def effective_share(self) -> float:
        """1 / (N sum q^2): 1 for uniform images, and k / N where k images of equal probability are drawn."""


class ImageSampler(Protocol):
    """The description of a sampler of images; it holds no state and serves any number of searches."""

    def build(self, size: int) -> RunningImageSampler:
        """A sampler of `size` images for one search, with its variables; called under the strategy."""
