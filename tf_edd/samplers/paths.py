"""Samplers of paths; see the package."""

import dataclasses
from typing import Protocol

import gin
import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.samplers.state import check_share, state_variable
from tf_edd.spaces.space import CellSpec, Space

Paths = dict[str, tf.Tensor]


class PathSampler(Protocol):
    """Draws the paths of a step."""

    def build(self, space: Space) -> None:
        """Makes its variables; called once, under the strategy."""

    @property
    def variables(self) -> list[tf.Variable]:
        """For the checkpoint."""

    def distribution(self) -> dict[str, np.ndarray]:
        """Cell kind -> p [E, O]."""

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """The paths of a step; the same for the same seed [2] and distribution."""

    importance_weights: bool

    def ratio(self, path: Paths) -> tf.Tensor | None:
        """Uniform probability / p of a path; None for 1. The step weighs with it if there are importance weights."""

    def second_moment(self) -> float:
        """E ratio^2 over paths from p."""

    def record(self, path: Paths, norms: Paths) -> None:
        """Inside the step: notes the norms of the clipped gradients, cell kind -> [E, O], summed over its cells."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Takes what was noted into the distribution, after `done` of `epochs` epochs."""


def allowed(cell: CellSpec) -> np.ndarray:
    """Which candidates may be in a genotype, bool [E, O]."""
    return np.array([[name not in cell.excluded for name in edge.primitives] for edge in cell.edges])


def uniform(space: Space) -> dict[str, np.ndarray]:
    """Cell kind -> the same probability for every allowed candidate of an edge, float32 [E, O]."""
    tables = {cell.kind: allowed(cell).astype(np.float32) for cell in space.cells}
    return {kind: table / table.sum(axis=1, keepdims=True) for kind, table in tables.items()}


def draw_path(space: Space, probs, seed: tf.Tensor) -> Paths:
    """One path: a candidate of each edge by its row of `probs`, and uniformly the edges that each node keeps.

    Args:
        space: the search space.
        probs: cell kind -> [E, O].
        seed: int32 [2].
    """
    path = {}
    for index, cell in enumerate(space.cells):
        key = tf.random.fold_in(seed, index)
        chosen = tf.random.stateless_categorical(tf.math.log(probs[cell.kind]), 1, key)[:, 0]
        table = tf.one_hot(chosen, cell.num_primitives)
        path[cell.kind] = table if cell.edges_per_node is None else table * _kept(cell, tf.random.fold_in(key, -1))
    return path


def _kept(cell: CellSpec, seed) -> tf.Tensor:
    """Ones for the edges that stay, [E, 1]: for each node `edges_per_node` of those that enter it."""
    scores = tf.random.stateless_uniform([len(cell.edges)], seed)
    flags = [tf.constant(0.0)] * len(cell.edges)
    for node in cell.intermediate_nodes:
        entering = cell.incoming(node)
        own = tf.gather(scores, entering)
        smallest_kept = tf.math.top_k(own, cell.edges_per_node).values[-1]
        for place, edge in enumerate(entering):
            flags[edge] = tf.cast(own[place] >= smallest_kept, tf.float32)
    return tf.stack(flags)[:, None]


@dataclasses.dataclass(eq=False)
class UniformPaths:
    """See `uniform_paths`."""

    importance_weights = False

    def build(self, space: Space) -> None:
        """Takes the space."""
        self._space = space

    @property
    def variables(self) -> list[tf.Variable]:
        """None: it learns nothing."""
        return []

    def distribution(self) -> dict[str, np.ndarray]:
        """Cell kind -> p [E, O]."""
        return uniform(self._space)

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """One path."""
        return [draw_path(self._space, uniform(self._space), seed)]

    def ratio(self, path: Paths) -> None:
        """1."""

    def second_moment(self) -> float:
        """1."""
        return 1.0

    def record(self, path: Paths, norms: Paths) -> None:
        """Nothing is learnt."""

    def end_epoch(self, done: int, epochs: int) -> None:
        """Nothing changes."""


@dataclasses.dataclass(eq=False)
class FairPaths(UniformPaths):
    """See `fair_paths`."""

    def build(self, space: Space) -> None:
        """Takes the space.

        Raises:
            UserError: edges with different numbers of candidates.
        """
        super().build(space)
        counts = {int(row.sum()) for cell in space.cells for row in allowed(cell)}
        if len(counts) != 1:
            raise UserError(
                f"fair_paths expects the same number of candidates on every edge. Received: {sorted(counts)} in space "
                f"{space.name!r}"
            )
        self._count = counts.pop()

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """As many paths as an edge has candidates; each candidate of each edge is in exactly one."""
        tables = [self._permuted(cell, tf.random.fold_in(seed, i)) for i, cell in enumerate(self._space.cells)]
        kinds = [cell.kind for cell in self._space.cells]
        return [{kind: table[j] for kind, table in zip(kinds, tables, strict=True)} for j in range(self._count)]

    def _permuted(self, cell: CellSpec, seed) -> list[tf.Tensor]:
        names = np.array([np.flatnonzero(row) for row in allowed(cell)])
        order = tf.argsort(tf.random.stateless_uniform(names.shape, seed), axis=1)
        permuted = tf.gather(tf.constant(names, tf.int32), order, batch_dims=1)
        return [tf.one_hot(permuted[:, j], cell.num_primitives) for j in range(self._count)]


@dataclasses.dataclass(eq=False)
class ImportancePaths:
    """See `importance_paths`."""

    per_edge: bool
    smoothing: float
    importance_weights: bool

    def build(self, space: Space) -> None:
        """Makes p, uniform, and G, zero.

        Raises:
            UserError: a shared distribution for edges with different candidates.
        """
        self._space = space
        for cell in space.cells:
            lists = {edge.primitives for edge in cell.edges}
            if not self.per_edge and len(lists) > 1:
                raise UserError(
                    "importance_paths shares one distribution between edges with the same candidates: set per_edge = "
                    f"True for this space. Received: {len(lists)} lists of candidates in cell {cell.kind!r}"
                )
        self._prior = uniform(space)
        self._probs = {kind: state_variable(table, f"path_probs_{kind}") for kind, table in self._prior.items()}
        self._norms = {
            kind: state_variable(np.zeros((len(table) if self.per_edge else 1, table.shape[1])), f"path_norms_{kind}")
            for kind, table in self._prior.items()
        }

    @property
    def variables(self) -> list[tf.Variable]:
        """p and G of each cell kind."""
        return [*self._probs.values(), *self._norms.values()]

    def distribution(self) -> dict[str, np.ndarray]:
        """Cell kind -> p [E, O]."""
        return {kind: variable.numpy() for kind, variable in self._probs.items()}

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        """One path."""
        return [draw_path(self._space, {k: p.read_value() for k, p in self._probs.items()}, seed)]

    def ratio(self, path: Paths) -> tf.Tensor:
        """Uniform probability / p of the path: with it the gradient is that of uniform paths in the mean."""
        tables = [(path[kind] > 0, self._prior[kind], probs.read_value()) for kind, probs in self._probs.items()]
        logs = [tf.where(on, tf.math.log(prior) - tf.math.log(probs), 0.0) for on, prior, probs in tables]
        return tf.exp(tf.add_n([tf.reduce_sum(log) for log in logs]))

    def second_moment(self) -> float:
        """E ratio^2 over paths from p, the product over the edges of sum_o prior_o^2 / p_o; 1 while p is uniform.

        So many times as large as that of uniform paths is the second moment of a gradient with importance weights, were
        all paths' gradients alike. Where nodes keep some of their edges only, an upper bound.
        """
        moment = 1.0
        for kind, prior in self._prior.items():
            squares = np.square(prior.astype(np.float64))
            terms = np.divide(squares, self._probs[kind].numpy(), out=np.zeros_like(squares), where=prior > 0)
            moment *= float(np.prod(terms.sum(axis=1)))
        return moment

    def record(self, path: Paths, norms: Paths) -> None:
        """G <- (G + S) / 2 for the candidates that the path uses and that have weights.

        S is the norm summed over the cells, and the mean over the edges that use the candidate where edges share G.
        """
        for kind, average in self._norms.items():
            seen = norms[kind]
            if not self.per_edge:
                edges = tf.reduce_sum(path[kind], axis=0, keepdims=True)
                seen = tf.math.divide_no_nan(tf.reduce_sum(seen, axis=0, keepdims=True), edges)
            now = average.read_value()
            average.assign(tf.where(seen > 0, (now + seen) / 2, now))

    def end_epoch(self, done: int, epochs: int) -> None:
        """p <- tau G / sum G + (1 - tau) uniform, tau = smoothing * (done - 1) / epochs; G <- 0."""
        tau = self.smoothing * (done - 1) / epochs
        for kind, prior in self._prior.items():
            norms = np.broadcast_to(self._norms[kind].numpy().astype(np.float64), prior.shape) * (prior > 0)
            total = norms.sum(axis=1, keepdims=True)
            learnt = np.divide(norms, total, out=prior.astype(np.float64), where=total > 0)
            self._probs[kind].assign((tau * learnt + (1 - tau) * prior).astype(np.float32))
            self._norms[kind].assign(np.zeros(self._norms[kind].shape, np.float32))


@gin.configurable(module="tf_edd.samplers")
def uniform_paths() -> UniformPaths:
    """One path a step, every candidate of every edge with the same probability (SPOS; no check of validity)."""
    return UniformPaths()


@gin.configurable(module="tf_edd.samplers")
def fair_paths() -> FairPaths:
    """Strict fairness: m paths a step for m candidates, by one random order of the candidates of each edge.

    The orders are drawn anew for every step, as the paper has it; the PA&DA code's baseline keeps those of an epoch's
    first step. Nodes keep all their edges. Source: FairNAS, arXiv 1907.01845, Algorithm 1.
    """
    return FairPaths()


@gin.configurable(module="tf_edd.samplers")
def importance_paths(
    per_edge: bool = False, smoothing: float = 1.0, importance_weights: bool = False
) -> ImportancePaths:
    """Path importance sampling: p in proportion to the norm of the candidates' gradients, mixed with uniform.

    Args:
        per_edge: a distribution of each edge; False shares one between the edges of a cell kind, as the released code
            does on NAS-Bench-201.
        smoothing: largest share of the norms in p; it grows linearly from 0 over the epochs.
        importance_weights: weigh a path's loss by the product of 1 / (O p) over its edges, which the theory asks for
            and the released code omits.

    Raises:
        UserError: smoothing outside [0, 1].
    """
    return ImportancePaths(per_edge, check_share("smoothing", smoothing), importance_weights)
