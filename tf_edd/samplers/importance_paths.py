"""Paths drawn by the norms of the candidates' gradients."""

import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError, require_share
from tf_edd.part import part
from tf_edd.samplers.draws import draw_path, uniform
from tf_edd.samplers.path_sampler import Paths
from tf_edd.samplers.state import state_variable
from tf_edd.spaces.space import Space


@part(module="tf_edd.samplers")
class ImportancePaths:
    """Path importance sampling: p in proportion to the norm of the candidates' gradients, mixed with uniform.

        G <- (G + S) / 2                                            in each step that uses the candidate
        p <- tau G / sum G + (1 - tau) uniform,   G <- 0            after each epoch
        tau = smoothing * (done - 1) / epochs

    S is the norm of the clipped gradient of a candidate's weights, summed over the cells of a type and, where edges
    share a distribution, averaged over the edges of the path that use the candidate.

    Attributes:
        per_edge: Whether each edge has its own distribution. False shares one between the edges of a cell type, as
            the released code does on NAS-Bench-201.
        smoothing: Largest share of the norms in p, in [0, 1]; the share grows linearly from 0 over the epochs.
        importance_weights: Whether to weigh the loss of a path by the product of 1 / (O p) over its edges, which the
            theory asks for and the released code omits.
        keep_without_gradient: Whether a candidate that the path uses, but whose gradient is exactly 0 because it reads
            zeros, keeps its G. False halves it, as S = 0 in the equation does. So does the released code: its
            convolutions have a bias, whose gradient is rounding noise, so that S is never exactly 0 there.

    Raises:
        UserError: smoothing outside [0, 1].

    Source: PA of PA&DA, Lu et al., https://arxiv.org/abs/2302.14772.
    """

    per_edge: bool = False
    smoothing: float = 1.0
    importance_weights: bool = False
    keep_without_gradient: bool = False

    def __post_init__(self):
        require_share(smoothing=self.smoothing)

    def build(self, space: Space) -> "RunningImportancePaths":
        """Raises UserError where edges with different candidates would share a distribution."""
        for cell in space.cells:
            lists = {edge.primitives for edge in cell.edges}
            if not self.per_edge and len(lists) > 1:
                raise UserError(
                    "ImportancePaths shares one distribution between edges with the same candidates: set per_edge = "
                    f"True for this space. Received: {len(lists)} lists of candidates in cell {cell.cell_type!r}"
                )
        return RunningImportancePaths(self, space)


class RunningImportancePaths:
    """See `ImportancePaths`.

    Args:
        settings: The description.
        space: The search space.
    """

    def __init__(self, settings: ImportancePaths, space: Space):
        self._settings, self._space = settings, space
        self._prior = uniform(space)
        self._probs = {
            cell_type: state_variable(table, f"path_probs_{cell_type}") for cell_type, table in self._prior.items()
        }
        self._norms = {
            cell_type: state_variable(
                np.zeros((len(table) if settings.per_edge else 1, table.shape[1])), f"path_norms_{cell_type}"
            )
            for cell_type, table in self._prior.items()
        }

    @property
    def importance_weights(self) -> bool:
        return self._settings.importance_weights

    @property
    def variables(self) -> list[tf.Variable]:
        """p and G of each cell type."""
        return [*self._probs.values(), *self._norms.values()]

    def distribution(self) -> dict[str, np.ndarray]:
        return {cell_type: variable.numpy() for cell_type, variable in self._probs.items()}

    def sample(self, seed: tf.Tensor) -> list[Paths]:
        return [draw_path(self._space, {k: p.read_value() for k, p in self._probs.items()}, seed)]

    def ratio(self, path: Paths) -> tf.Tensor:
        """With it as a weight, the expected gradient is that of uniform paths."""
        tables = [
            (path[cell_type] > 0, self._prior[cell_type], probs.read_value())
            for cell_type, probs in self._probs.items()
        ]
        logs = [tf.where(on, tf.math.log(prior) - tf.math.log(probs), 0.0) for on, prior, probs in tables]
        return tf.exp(tf.add_n([tf.reduce_sum(log) for log in logs]))

    def second_moment(self) -> float:
        """The product over the edges of sum_o prior_o^2 / p_o; 1 while p is uniform.

        If the gradients of all paths had the same norm, importance weights would multiply the second moment of the
        gradient by this factor. Where nodes keep only some of their edges, it is an upper bound.
        """
        moment = 1.0
        for cell_type, prior in self._prior.items():
            squares = np.square(prior.astype(np.float64))
            terms = np.divide(squares, self._probs[cell_type].numpy(), out=np.zeros_like(squares), where=prior > 0)
            moment *= float(np.prod(terms.sum(axis=1)))
        return moment

    def record(self, path: Paths, norms: Paths) -> None:
        """G <- (G + S) / 2 for the candidates that the path uses; G stays 0 for those without weights."""
        for cell_type, average in self._norms.items():
            used, seen = path[cell_type], norms[cell_type]
            if not self._settings.per_edge:
                used = tf.reduce_sum(used, axis=0, keepdims=True)
                seen = tf.math.divide_no_nan(tf.reduce_sum(seen, axis=0, keepdims=True), used)
            now = average.read_value()
            counts = seen > 0 if self._settings.keep_without_gradient else used > 0
            average.assign(tf.where(counts, (now + seen) / 2, now))

    def end_epoch(self, done: int, epochs: int) -> None:
        """p <- tau G / sum G + (1 - tau) uniform; G <- 0."""
        tau = self._settings.smoothing * (done - 1) / epochs
        for cell_type, prior in self._prior.items():
            norms = np.broadcast_to(self._norms[cell_type].numpy().astype(np.float64), prior.shape) * (prior > 0)
            total = norms.sum(axis=1, keepdims=True)
            learned = np.divide(norms, total, out=prior.astype(np.float64), where=total > 0)
            self._probs[cell_type].assign((tau * learned + (1 - tau) * prior).astype(np.float32))
            self._norms[cell_type].assign(np.zeros(self._norms[cell_type].shape, np.float32))
