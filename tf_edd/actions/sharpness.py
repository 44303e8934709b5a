"""How sharp the validation loss is around the logits, epoch by epoch."""

import math

import gin
import numpy as np

from tf_edd.actions.action import check_at_least_one
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import sharpness as measure
from tf_edd.errors import UserError
from tf_edd.networks.supernet import SHARED_FROM, count_edges


class _Sharpness:
    """See `sharpness`."""

    def __init__(self, batches, batch_size, radius, directions, every_epochs, lanczos, relative, seed):
        self._batches, self._batch_size = batches, batch_size
        self._radius, self._directions, self._every = radius, directions, every_epochs
        self._lanczos, self._relative, self._seed = lanczos, relative, seed
        self._surface = None

    def begin(self, state: SearchState) -> None:
        """Reads the images.

        Raises:
            UserError: fewer validation images than the batches take, or second derivatives that cannot be trusted.
        """
        if state.relaxation is None:
            raise UserError("sharpness is a measure of architecture logits. Received: a step without any")
        if state.supernet.compute_dtype != "float32":
            raise UserError(
                "sharpness needs runtime.precision = 'float32': half precision leaves little of second derivatives. "
                f"Received: computations in {state.supernet.compute_dtype}"
            )
        _check_edges(state)
        feed = state.feed
        size = self._batch_size or feed.batch_size
        if feed.valid.size < self._batches * size:
            raise UserError(
                f"sharpness expects {self._batches} batches of {size} images to fit into the {feed.valid.size} "
                f"validation images. Received: batches={self._batches}, batch_size={self._batch_size}"
            )
        batches = feed.valid.batches(size, seed=0, epoch=0, shuffle=False).take(self._batches)
        self._surface = measure.LossSurface(state.supernet, state.relaxation, state.space.logit_shapes, batches)
        # Where probabilities are near 0 and 1, rounding alone makes the products unsymmetric: here they are uniform.
        flat = np.zeros(self._surface.size)
        measure.check_symmetry(lambda vector: self._surface.product(vector, flat, 1.0), self._surface.size, self._seed)

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Adds both measures to the metrics and to the history, every so many epochs and in the last one."""
        if state.epoch % self._every and state.epoch < state.epochs:
            return
        temperature = metrics["arch/temperature"]  # that of the state is the next epoch's
        found = self._measure(self._surface.flat(state.logits), temperature)
        found = {f"sharpness/{name}": value for name, value in found.items() if math.isfinite(value)}
        metrics.update(found)
        state.history[-1].update(found)

    def end(self, state: SearchState) -> None:
        """Nothing is left to do."""

    def _measure(self, point, temperature):
        surface, unit = self._surface, temperature if self._relative else 1.0

        def product(vector):
            return unit**2 * surface.product(vector, point, temperature)

        directions = measure.unit_directions(self._directions, surface.size, self._seed)
        return {
            "eigenvalue": measure.dominant_eigenvalue(product, surface.size, **self._lanczos, seed=self._seed),
            "loss_difference": measure.loss_difference(
                lambda logits: surface.loss(logits, temperature), point, unit * self._radius, directions
            ),
        }


def _check_edges(state):
    """TensorFlow differentiates edges that are run again wrongly for the second time, unless they share functions."""
    edges = count_edges(state.space)
    if state.supernet.rematerialize and edges < SHARED_FROM:
        raise UserError(
            f"sharpness needs search.rematerialize = False in supernets of fewer than {SHARED_FROM} edges: second "
            f"derivatives of edges that are run again are not reliable there. Received: {edges} edges, rematerialized"
        )


@gin.configurable(module="tf_edd.actions")
def sharpness(
    batches: int = 1,
    batch_size: int | None = None,
    radius: float = 0.1,
    directions: int = 10,
    every_epochs: int = 1,
    which: str = "algebraic",
    iterations: int | None = None,
    tolerance: float = 1e-3,
    relative: bool = False,
    seed: int = 0,
) -> _Sharpness:
    """Adds `sharpness/eigenvalue` and `sharpness/loss_difference` to the metrics and the history.

    The first is the dominant eigenvalue of the Hessian of the validation loss with respect to the architecture logits
    of all cell kinds (RobustDARTS, arXiv 1909.09656), the second the mean over random unit directions u of
    L(A + radius * u) - L(A). The loss is that of the noise-free training distribution on the first validation images in
    stored order, without augmentation; see `tf_edd.analysis.sharpness`. Must stand before the actions that are to see
    them. Computed on one device, whatever the strategy. The search never reads them.

    Args:
        batches: batches over which the loss is averaged.
        batch_size: images a batch; None for that of the search.
        radius: length of the perturbation of the logits.
        directions: how many; the same in every epoch.
        every_epochs: epochs between two measures; the last epoch is always measured.
        which: "algebraic", the largest eigenvalue (the released code of RobustDARTS), or "magnitude", that of the
            largest absolute value.
        iterations: restarts of Lanczos' method at most; None for 10 times the number of logits.
        tolerance: relative, of the eigenvalue.
        relative: measure with respect to A / t: t^2 times the eigenvalue, and a radius of t times `radius`. Methods
            whose temperatures differ can be compared so.
        seed: of the directions and of the start of Lanczos' method.

    Raises:
        UserError: a value out of range; later, a second derivative that is missing or not exact.
    """
    check_at_least_one(batches=batches, directions=directions, every_epochs=every_epochs)
    for name, value in (("batch_size", batch_size), ("iterations", iterations)):
        if value is not None:
            check_at_least_one(**{name: value})
    for name, value in (("radius", radius), ("tolerance", tolerance)):
        if not 0 < value < float("inf"):
            raise UserError(f"{name} must be above 0. Received: {name}={value!r}")
    if which not in measure.WHICH:
        raise UserError(f"which must be one of {tuple(measure.WHICH)}. Received: which={which!r}")
    lanczos = {"which": which, "iterations": iterations, "tolerance": tolerance}
    return _Sharpness(batches, batch_size, radius, directions, every_epochs, lanczos, relative, seed)
