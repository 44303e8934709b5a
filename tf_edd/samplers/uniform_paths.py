"""Paths drawn uniformly."""

import numpy as np
import tensorflow as tf

from tf_edd.part import part
from tf_edd.samplers.draws import draw_path, uniform
from tf_edd.samplers.path_sampler import Paths
from tf_edd.spaces.space import Space


@part(module="tf_edd.samplers")
class UniformPaths:
    """One path per step, every candidate of every edge with the same probability.

    Paths are not checked for validity: one may cut the input off from the output.

    Source: single path one-shot (SPOS), Guo et al., https://arxiv.org/abs/1904.00420.
    """

    def build(self, space: Space) -> "RunningUniformPaths":
        return RunningUniformPaths(space)


class RunningUniformPaths:
    """See `UniformPaths`; it learns nothing."""

    importance_weights = False

    def __init__(self, space: Space):
        self._space = space

    @property
    def variables(self) -> list[tf.Variable]:
        return []

    def distribution(self) -> dict[str, np.ndarray]:
        return uniform(self._space)

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        return [draw_path(self._space, uniform(self._space), seed)]

    def ratio(self, path: Paths) -> None:
        return None

    def second_moment(self) -> float:
        return 1.0

    def record(self, path: Paths, norms: Paths) -> None:
        pass

    def end_epoch(self, done: int, epochs: int) -> None:
        pass
