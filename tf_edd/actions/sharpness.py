"""The sharpness of the validation loss around the logits, epoch by epoch."""

import math
from typing import ClassVar

import numpy as np

from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import sharpness as analysis
from tf_edd.architectures.logits import table_shapes
from tf_edd.errors import UserError, require_count, require_one_of, require_positive
from tf_edd.networks.supernet import SHARED_FROM, count_edges
from tf_edd.part import part


@part(module="tf_edd.actions")
class Sharpness(Action):
    """Measures `sharpness/eigenvalue` and `sharpness/loss_difference`.

    The first is the dominant eigenvalue of the Hessian of the validation loss with respect to the architecture logits
    of all cell types (RobustDARTS, arXiv 1909.09656), the second the mean over random unit directions u of
    L(A + radius * u) - L(A). The loss is that of the noise-free training distribution on the first validation images in
    stored order, without augmentation; see `tf_edd.analysis.sharpness`. Both are computed on one device, whatever the
    strategy. Only a stopper (`EigenvalueStop`) reads them. A measure that is not finite is left out.

    Attributes:
        batches: Batches over which the loss is averaged.
        batch_size: Images per batch; None for the batch size of the search.
        radius: Length of the perturbation of the logits.
        directions: Number of directions; they are the same in every epoch.
        every_epochs: Epochs between two measurements; the last epoch is always measured.
        which: "algebraic" for the largest eigenvalue (as in the released code of RobustDARTS), or "magnitude" for the
            eigenvalue of the largest absolute value.
        iterations: Largest number of restarts of Lanczos' method; None for 10 times the number of logits.
        tolerance: Relative tolerance of the eigenvalue.
        relative: Measure with respect to A / t: t^2 times the eigenvalue, and a radius of t times `radius`. This makes
            methods of different temperatures comparable.
        seed: Seed of the directions and of the start of Lanczos' method.

    Raises:
        UserError: A value is out of range; before the search begins, too few validation images, half precision or
            rematerialized edges; when it begins, a second derivative that is missing or not exact.
    """

    batches: int = 1
    batch_size: int | None = None
    radius: float = 0.1
    directions: int = 10
    every_epochs: int = 1
    which: str = "algebraic"
    iterations: int | None = None
    tolerance: float = 1e-3
    relative: bool = False
    seed: int = 0

    measures: ClassVar[tuple[str, ...]] = ("sharpness/eigenvalue", "sharpness/loss_difference")

    def __post_init__(self):
        require_count(batches=self.batches, directions=self.directions, every_epochs=self.every_epochs)
        optional = {"batch_size": self.batch_size, "iterations": self.iterations}
        require_count(note=" or None", **{name: value for name, value in optional.items() if value is not None})
        require_positive(radius=self.radius, tolerance=self.tolerance)
        require_one_of(tuple(analysis.WHICH), which=self.which)

    def check(self, state: SearchState) -> None:
        _check_precision(state)
        _check_edges(state)
        if state.decides:
            raise UserError(
                "Sharpness measures all logits, but the decisions of this search let those of decided edges rest."
            )
        self._validation_batches(state.batches)

    def begin(self, state: SearchState) -> RunningAction:
        shapes = table_shapes(state.space, state.relaxation.edge_weights is not None)
        batches = self._validation_batches(state.batches)
        surface = analysis.LossSurface(state.supernet, state.relaxation.mean, shapes, batches)
        # Where probabilities are near 0 and 1, rounding alone makes the products asymmetric: here they are uniform.
        flat = np.zeros(surface.size)
        analysis.check_symmetry(lambda vector: surface.product(vector, flat, 1.0), surface.size, self.seed)
        return _Measurement(self, surface)

    def _validation_batches(self, batches):
        size = self.batch_size or batches.batch_size
        if batches.valid.size < self.batches * size:
            raise UserError(
                f"Sharpness expects {self.batches} batches of {size} images to fit into the {batches.valid.size} "
                f"validation images. Received: batches={self.batches}, batch_size={self.batch_size}"
            )
        return batches.valid.batches(size, seed=0, epoch=0, shuffle=False).take(self.batches)


class _Measurement(RunningAction):
    """Holds the loss surface, whose functions are traced once per search."""

    def __init__(self, settings: Sharpness, surface: analysis.LossSurface):
        self._settings, self._surface = settings, surface

    def measure(self, state: SearchState) -> dict[str, float]:
        if state.epoch % self._settings.every_epochs and state.epoch < state.epochs:
            return {}
        temperature = state.history[-1]["arch/temperature"]  # `state.temperature` is already that of the next epoch
        measured = self._measure(self._surface.flat(state.logits), temperature)
        return {f"sharpness/{name}": value for name, value in measured.items() if math.isfinite(value)}

    def _measure(self, point: np.ndarray, temperature: float) -> dict[str, float]:
        settings, surface = self._settings, self._surface
        unit = temperature if settings.relative else 1.0

        def product(vector):
            return unit**2 * surface.product(vector, point, temperature)

        directions = analysis.unit_directions(settings.directions, surface.size, settings.seed)
        eigenvalue = analysis.dominant_eigenvalue(
            product, surface.size, settings.which, settings.iterations, settings.tolerance, settings.seed
        )
        difference = analysis.loss_difference(
            lambda logits: surface.loss(logits, temperature), point, unit * settings.radius, directions
        )
        return {"eigenvalue": eigenvalue, "loss_difference": difference}


def _check_precision(state: SearchState) -> None:
    if not state.learns_logits:
        raise UserError("Sharpness measures architecture logits, but the step of this search learns none.")
    if state.supernet.compute_dtype != "float32":
        raise UserError(
            "Sharpness needs configure.precision = 'float32': half precision leaves little of second derivatives. "
            f"Received: computations in {state.supernet.compute_dtype}"
        )


def _check_edges(state: SearchState) -> None:
    """TensorFlow's second derivatives of rematerialized edges are wrong, unless the edges share functions."""
    edges = count_edges(state.space)
    if state.supernet.rematerialize and edges < SHARED_FROM:
        raise UserError(
            f"Sharpness needs search.rematerialize = False in supernets of fewer than {SHARED_FROM} edges: second "
            f"derivatives of rematerialized edges are not reliable there. Received: {edges} edges, rematerialized"
        )
