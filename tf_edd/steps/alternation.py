"""Alternation of one step of the weights and one of the architecture logits (paper, Eq. 1)."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_edd.errors import require_one_of, require_positive
from tf_edd.networks.unused import NEGLIGIBLE, Unused
from tf_edd.relaxations.relaxation import one_hot
from tf_edd.steps.drawn_images import DrawnImages
from tf_edd.steps.plumbing import (
    Pass,
    PassInfo,
    StepFunctions,
    Terms,
    check_single_path,
    compiled,
    edge_metrics,
    mixture_validation,
    moment_tensors,
    move,
    noise_free,
    pass_info,
    temperature_variable,
)
from tf_edd.steps.step import Architecture, Batch, EpochInfo, StepInfo, StepSetup, Validation

PHASES = ("weights", "arch")
ORDERS = {"weights_first": PHASES, "arch_first": PHASES[::-1]}


AUTO = "auto"
# Share of negligible candidates from which on leaving them out pays (benchmarks/README.md): a tenth of them gains
# nothing, two thirds an eighth of a step, four fifths two fifths.
ENOUGH = 0.5


class Skip(NamedTuple):
    """Whether candidates of negligible probability are left out.

    Attributes:
        when: True, False, or "auto": in the epochs after one that ends with at least half of the candidates negligible.
        negligible: the largest probability that is negligible.
    """

    when: bool | str = False
    negligible: float = NEGLIGIBLE


NOTHING = Skip()


def check_skip(skip_unused: bool | str, negligible_weight: float) -> None:
    """Raises UserError for an unknown switch or a threshold that is not positive."""
    require_one_of((False, True, AUTO), skip_unused=skip_unused)
    require_positive(negligible_weight=negligible_weight)


def check_alternation(order: str, weight_gradient_clip: float | None, arch_gradient_clip: float | None) -> None:
    """Raises UserError for an unknown order or a clip that is not positive."""
    require_one_of(ORDERS, order=order)
    clips = {"weight_gradient_clip": weight_gradient_clip, "arch_gradient_clip": arch_gradient_clip}
    require_positive(" or None", **{name: clip for name, clip in clips.items() if clip is not None})


class Alternation:
    """A `Step` of two phases, one after the other on each pair of batches.

    Args:
        setup: of the search.
        passes: phase -> a function that runs on one replica while it is traced: batches of all phases (phase ->
            `Batch`), the moment, the acting regularizers as `supernet_loss` takes them, the candidates to leave out
            (`Unused`, or None for none) -> `Pass`.
        order: key of `ORDERS`.
        clips: phase -> largest global norm of the gradient, None for no limit.
        skip: see `Skip`.
        drawn: the training images, of which a pass of the weights tells the norms; None for a random order of all.
    """

    phases = PHASES

    def __init__(
        self,
        setup: StepSetup,
        passes: Mapping[str, Callable],
        order: str,
        clips: Mapping[str, float | None],
        skip: Skip = NOTHING,
        drawn: DrawnImages | None = None,
    ):
        check_single_path(setup)
        self._setup, self._passes, self._order, self._clips = setup, passes, ORDERS[order], clips
        self._optimizers = {"weights": setup.method.weight_optimizer, "arch": setup.method.arch_optimizer}
        self._targets = {"weights": setup.supernet.trainable_variables, "arch": setup.logits.variables}
        for phase in PHASES:
            self._optimizers[phase].build(self._targets[phase])
        self._temperature = temperature_variable()
        self._fed_temperature = None
        self._terms = Terms(setup.method.regularizers, setup, self._temperature)
        self._drawn = drawn or DrawnImages(setup)
        self._skip = skip
        masked = setup.logits.masks is not None
        changes = skip.when == AUTO or masked
        skippable = tf.distribute.get_strategy().num_replicas_in_sync == 1 and not one_hot(setup.method.relaxation)
        self._changes = changes and skippable
        self._skips = tf.Variable(skip.when is True, trainable=False, name="skips")
        skips = {"skips": [self._skips]} if changes else {}
        self.variables = {**self._terms.variables, **self._drawn.variables, **skips}
        self.functions = StepFunctions(functools.partial(self._make, None))
        # Where negligible candidates are to run, those that decisions have closed are still left out: they are 0.
        unused = Unused(skip.negligible if skip.when else 0.0, masked=masked)
        self.skipping_functions = StepFunctions(functools.partial(self._make, unused))

    def __call__(self, batches: Mapping[str, Batch], info: StepInfo) -> dict[str, tf.Tensor]:
        if info.temperature != self._fed_temperature:
            self._temperature.assign(info.temperature)
            self._fed_temperature = info.temperature
        self._terms.begin_step(info)
        functions, moment, scalars = self._functions(), moment_tensors(info), {}
        for phase in self._order:
            if phase in info.phases:
                scalars |= functions(phase, self._terms.acting(phase, info.epoch), batches, moment)
        return scalars

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        for phase in [phase for phase in self._order if phase in info.phases]:
            self._functions().trace(phase, self._terms.acting(phase, info.epoch), batches, moment_tensors(info))

    def architecture(self, temperature: float) -> Architecture:
        return noise_free(self._setup.relaxation, self._setup.logits, temperature)

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        progress = epoch.progress if self._setup.method.edges else None
        return mixture_validation(epoch, self._setup.supernet.space, evaluate, discretizer, progress)

    def image_order(self, epoch: int) -> np.ndarray | None:
        return self._drawn.order(epoch)

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        """Lets the sampler learn, and decides whether the next epoch leaves candidates out.

        It does with `skip_unused = "auto"` and enough negligible candidates, and as soon as an edge is decided.

        Returns:
            What the sampler tells, and what surrounds the edges at the end of the epoch.
        """
        if self._changes:  # with several replicas the supernet leaves nothing out; a single path leaves all else out
            self._skips.assign(self._skip.when is True or self._mostly_negligible() or self._any_decided())
        return self._drawn.end_epoch(epoch) | edge_metrics(self._setup, epoch)

    def _mostly_negligible(self) -> bool:
        if self._skip.when != AUTO:
            return False
        probs = self.architecture(self._fed_temperature).probs.values()
        negligible = np.concatenate([np.ravel(table) for table in probs]) <= self._skip.negligible
        return bool(negligible.mean() >= ENOUGH)

    def _any_decided(self) -> bool:
        undecided = self._setup.logits.undecided()
        return undecided is not None and not all(rows.numpy().all() for rows in undecided)

    def _functions(self) -> StepFunctions:
        """Those of now: with all candidates, or without those that are negligible or closed."""
        skips = self._skip.when is True or (self._changes and bool(self._skips.numpy()))
        return self.skipping_functions if skips else self.functions

    def _make(self, unused: Unused | None, phase: str, acting: tuple[int, ...]) -> Callable:
        def one_pass(states, batches, info):
            return self._passes[phase](batches, info, self._terms.paired(acting, states), unused)

        one_pass = compiled(one_pass, self._setup.xla)

        def replica_step(batches, moment):
            batches = {name: Batch(*batch) for name, batch in batches.items()}
            info: PassInfo = pass_info(self._setup, phase, moment, self._temperature)
            found = Pass(*one_pass(self._terms.read(acting), batches, info))
            norm = move(self._setup, phase, found.gradients, self._clips[phase])
            replicas = tf.distribute.get_replica_context().num_replicas_in_sync
            shares = {tag: value / replicas for tag, value in (found.metrics or {}).items()}
            if phase == "weights":
                self._drawn.record(batches["weights"].positions, found.image_norms)
                own = {"loss/weights": found.loss, "accuracy/train": found.accuracy}
                return {**own, "weights/gradient_norm": norm / replicas, **shares}
            own = {"loss/arch": found.loss, "accuracy/arch": found.accuracy}
            return {**own, "arch/logit_gradient_norm": norm / replicas, **shares}

        return replica_step
