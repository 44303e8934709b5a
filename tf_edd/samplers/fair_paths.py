"""Paths drawn with strict fairness."""

import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.part import part
from tf_edd.samplers.draws import uniform
from tf_edd.samplers.path_sampler import Paths
from tf_edd.spaces.space import CellSpec, Space


@part(module="tf_edd.samplers")
class FairPaths:
    """Strict fairness: m paths per step for m candidates, by one random order of the candidates of each edge.

    The orders are drawn anew for every step; the baseline in the PA&DA code keeps those of the first step of an epoch.
    Nodes keep all their edges.

    Source: FairNAS, Chu et al., https://arxiv.org/abs/1907.01845.
    """

    def build(self, space: Space) -> "RunningFairPaths":
        """Raises UserError for edges with different numbers of candidates."""
        counts = {sum(row) for cell in space.cells for row in cell.allowed}
        if len(counts) != 1:
            raise UserError(
                f"FairPaths expects the same number of candidates on every edge. Received: {sorted(counts)} in space "
                f"{space.name!r}"
            )
        return RunningFairPaths(space, counts.pop())


class RunningFairPaths:
    """See `FairPaths`; it learns nothing.

    Args:
        space: The search space.
        num_candidates: Candidates of each edge.
    """

    importance_weights = False

    def __init__(self, space: Space, num_candidates: int):
        self._space, self._count = space, num_candidates

    @property
    def variables(self) -> list[tf.Variable]:
        return []

    def distribution(self) -> dict[str, np.ndarray]:
        return uniform(self._space)

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """As many paths as an edge has candidates; each candidate of each edge is in exactly one."""
        tables = [self._permuted(cell, tf.random.fold_in(seed, i)) for i, cell in enumerate(self._space.cells)]
        cell_types = [cell.cell_type for cell in self._space.cells]
        return [
            {cell_type: table[j] for cell_type, table in zip(cell_types, tables, strict=True)}
            for j in range(self._count)
        ]

    def _permuted(self, cell: CellSpec, seed) -> list[tf.Tensor]:
        candidates = np.array([np.flatnonzero(row) for row in cell.allowed])
        order = tf.argsort(tf.random.stateless_uniform(candidates.shape, seed), axis=1)
        permuted = tf.gather(tf.constant(candidates, tf.int32), order, batch_dims=1)
        return [tf.one_hot(permuted[:, j], cell.num_primitives) for j in range(self._count)]

    def ratio(self, path: Paths) -> None:
        return None

    def second_moment(self) -> float:
        return 1.0

    def record(self, path: Paths, norms: Paths) -> None:
        pass

    def end_epoch(self, done: int, epochs: int) -> None:
        pass
