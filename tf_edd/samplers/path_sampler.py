"""What a sampler of paths is: a description, and what runs in one search."""

from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_edd.spaces.space import Space

Paths = dict[str, tf.Tensor]  # one path: cell type -> [E, O]


class RunningPathSampler(Protocol):
    """Draws the paths of the steps of one search."""

    @property
    def importance_weights(self) -> bool:
        """Whether the step weighs the loss of a path with its `ratio`."""

    @property
    def variables(self) -> list[tf.Variable]:
        """What it has learned, for the checkpoint."""

    def distribution(self) -> dict[str, np.ndarray]:
        """Cell type -> probability p of each candidate, [E, O]."""

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """The paths of a step; the same for the same seed, int32 [2], and distribution."""

    def ratio(self, path: Paths) -> tf.Tensor | None:
        """Uniform probability of a path divided by its probability under p; None if the two are equal."""

    def second_moment(self) -> float:
        """E ratio^2 over paths drawn from p."""

    def record(self, path: Paths, norms: Paths) -> None:
        """Records, inside the step, what it used and the norms of the clipped gradients.

        Args:
            path: The sum of the step's paths; zeros for a step that loss scaling skips.
            norms: Cell type -> [E, O], summed over the type's cells.
        """

    def end_epoch(self, done: int, epochs: int) -> None:
        """Updates the distribution with what was recorded, after `done` of `epochs` epochs."""


class PathSampler(Protocol):
    """The description of a sampler of paths; it holds no state and serves any number of searches."""

    def build(self, space: Space) -> RunningPathSampler:
        """A sampler for one search, with its variables; called under the strategy.

        Raises:
            UserError: the sampler does not fit the space.
        """
