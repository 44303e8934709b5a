"""Alternation of one step of the weights and one of the architecture logits (paper, Eq. 1)."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from tf_edd.errors import require_one_of, require_positive
from tf_edd.optimizers.gradients import apply_gradients
from tf_edd.steps.plumbing import (
    PassInfo,
    StepFunctions,
    Terms,
    compiled,
    mixture_validation,
    moment_tensors,
    noise_free,
    pass_info,
    temperature_variable,
)
from tf_edd.steps.step import Architecture, Batch, EpochInfo, StepInfo, StepSetup, Validation

PHASES = ("weights", "arch")
ORDERS = {"weights_first": PHASES, "arch_first": PHASES[::-1]}


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
            `Batch`), the moment, the acting regularizers as `supernet_loss` takes them -> `Pass`.
        order: key of `ORDERS`.
        clips: phase -> largest global norm of the gradient, None for no limit.
    """

    phases = PHASES

    def __init__(
        self,
        setup: StepSetup,
        passes: Mapping[str, Callable],
        order: str,
        clips: Mapping[str, float | None],
    ):
        self._setup, self._passes, self._order, self._clips = setup, passes, ORDERS[order], clips
        self._optimizers = {"weights": setup.method.weight_optimizer, "arch": setup.method.arch_optimizer}
        self._targets = {"weights": setup.supernet.trainable_variables, "arch": setup.logits.variables}
        for phase in PHASES:
            self._optimizers[phase].build(self._targets[phase])
        self._temperature = temperature_variable()
        self._fed_temperature = None
        self._terms = Terms(setup.method.regularizers, setup, self._temperature)
        self.variables = self._terms.variables
        self.functions = StepFunctions(self._make)

    def __call__(self, batches: Mapping[str, Batch], info: StepInfo) -> dict[str, tf.Tensor]:
        if info.temperature != self._fed_temperature:
            self._temperature.assign(info.temperature)
            self._fed_temperature = info.temperature
        self._terms.begin_step(info)
        moment, scalars = moment_tensors(info), {}
        for phase in self._order:
            if phase in info.phases:
                scalars |= self.functions(phase, self._terms.acting(phase, info.epoch), batches, moment)
        return scalars

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        for phase in [phase for phase in self._order if phase in info.phases]:
            self.functions.trace(phase, self._terms.acting(phase, info.epoch), batches, moment_tensors(info))

    def architecture(self, temperature: float) -> Architecture:
        return noise_free(self._setup.method.relaxation, self._setup.logits, temperature)

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        return mixture_validation(epoch, self._setup.supernet.space, evaluate, discretizer)

    def image_order(self, epoch: int) -> None:
        return None

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        return {}

    def _make(self, phase: str, acting: tuple[int, ...]) -> Callable:
        def one_pass(states, batches, info):
            return self._passes[phase](batches, info, self._terms.paired(acting, states))

        one_pass = compiled(one_pass, self._setup.xla)

        def replica_step(batches, moment):
            batches = {name: Batch(*batch) for name, batch in batches.items()}
            info: PassInfo = pass_info(self._setup, phase, moment, self._temperature)
            loss, accuracy, gradients = one_pass(self._terms.read(acting), batches, info)
            norm = apply_gradients(self._optimizers[phase], gradients, self._targets[phase], self._clips[phase])
            share = norm / tf.distribute.get_replica_context().num_replicas_in_sync
            if phase == "weights":
                return {"loss/weights": loss, "accuracy/train": accuracy, "weights/gradient_norm": share}
            return {"loss/arch": loss, "accuracy/arch": accuracy, "arch/logit_gradient_norm": share}

        return replica_step
