"""The single-level step."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_edd.part import part
from tf_edd.steps.alternation import PHASES, check_alternation
from tf_edd.steps.plumbing import (
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
    relaxed,
    step_context,
    supernet_loss,
    temperature_variable,
)
from tf_edd.steps.step import LOGIT_PARTS, Architecture, Batch, EpochInfo, StepInfo, StepSetup, Validation

ZERO = tf.UnconnectedGradients.ZERO  # a candidate that a mixture leaves out has no gradient


@part(module="tf_edd.steps")
class OneLevel:
    """Weights and logits learn from one loss of one training batch, in one forward and backward pass.

        omega <- omega - rate grad_omega L_train(omega, A),    A <- A - rate grad_A L_train(omega, A)

    Both gradients are of the same weights, logits and noise. There is one loss, so a regularizer is in it whichever
    phase it names. The batch of the validation split is not looked at: give `search.split = (1.0, None)` for all images
    to be learned from, as SNAS does, or a part for the validation, which shortens the epochs where it is smaller.

    Attributes:
        weight_gradient_clip: Largest global norm of the weight gradient, None for no limit.
        arch_gradient_clip: The same for the logits.

    Raises:
        UserError: A clip that is not positive.

    Source: Xie et al., "SNAS: Stochastic Neural Architecture Search", ICLR 2019, arXiv 1812.09926, section 2;
    https://github.com/SNAS-Series/SNAS-Series, `SNAS/train_search.py`.
    """

    weight_gradient_clip: float | None = 5.0
    arch_gradient_clip: float | None = None

    phases: ClassVar[tuple[str, ...]] = PHASES
    takes: ClassVar[tuple[str, ...]] = LOGIT_PARTS
    learns_logits: ClassVar[bool] = True

    def __post_init__(self):
        check_alternation("weights_first", self.weight_gradient_clip, self.arch_gradient_clip)

    def check(self, space, batches) -> None:
        """Accepts every space and all images."""

    def build(self, setup: StepSetup) -> "OneLevelStep":
        """The step of one search."""
        return OneLevelStep(setup, {"weights": self.weight_gradient_clip, "arch": self.arch_gradient_clip})


class OneLevelStep:
    """The `Step` that `OneLevel` builds. In a step of the weights alone the logits stay, and nothing else changes."""

    phases = PHASES

    def __init__(self, setup: StepSetup, clips: Mapping[str, float | None]):
        check_single_path(setup)
        self._setup, self._clips = setup, clips
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
        return self.functions(*self._of(info), batches["weights"], moment_tensors(info))

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        self.functions.trace(*self._of(info), batches["weights"], moment_tensors(info))

    def architecture(self, temperature: float) -> Architecture:
        return noise_free(self._setup.relaxation, self._setup.logits, temperature)

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        progress = epoch.progress if self._setup.method.edges else None
        return mixture_validation(epoch, self._setup.supernet.space, evaluate, discretizer, progress)

    def image_order(self, epoch: int) -> np.ndarray | None:
        return None

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        return edge_metrics(self._setup, epoch)

    def _of(self, info: StepInfo) -> tuple[str, tuple[int, ...]]:
        """What moves, "weights" or "both", and the places of the regularizers that act in some phase."""
        acting = {place for phase in PHASES for place in self._terms.acting(phase, info.epoch)}
        return "both" if "arch" in info.phases else "weights", tuple(sorted(acting))

    def _make(self, moves: str, acting: tuple[int, ...]) -> Callable:
        phases = PHASES if moves == "both" else ("weights",)

        def one_pass(states, batch, info):
            return self._pass(phases, batch, info, self._terms.paired(acting, states))

        one_pass = compiled(one_pass, self._setup.xla)

        def replica_step(batch, moment):
            info = pass_info(self._setup, "weights", moment, self._temperature)
            loss, accuracy, gradients = one_pass(self._terms.read(acting), Batch(*batch), info)
            replicas = tf.distribute.get_replica_context().num_replicas_in_sync
            norms = {
                phase: move(self._setup, phase, gradients[phase], self._clips[phase]) / replicas for phase in phases
            }
            scalars = {"loss/weights": loss, "accuracy/train": accuracy, "weights/gradient_norm": norms["weights"]}
            return (
                scalars
                if moves == "weights"
                else {**scalars, "loss/arch": loss, "arch/logit_gradient_norm": norms["arch"]}
            )

        return replica_step

    def _pass(self, phases: tuple[str, ...], batch: Batch, info, terms):
        """Shares of loss and accuracy, and the gradient of each phase, scaled as its optimizer wants it."""
        setup, optimizers = self._setup, self._optimizers
        logits = setup.logits.tensors()
        sources = {
            "weights": [variable.value for variable in self._targets["weights"]],
            "arch": list(logits.values()),
        }
        sources = {phase: sources[phase] for phase in phases}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            probs = relaxed(setup.relaxation, logits, info)
            context = step_context("weights", setup, batch.images, batch.labels, logits, probs, info)
            losses = supernet_loss(context, optimizers["weights"], terms)
        gradients = tape.gradient(losses.scaled, sources, unconnected_gradients=ZERO)
        if "arch" in phases:
            ratio = optimizers["arch"].scale_loss(1.0) / optimizers["weights"].scale_loss(1.0)
            gradients["arch"] = [tf.cast(ratio, tf.float32) * gradient for gradient in gradients["arch"]]
        return losses.loss, losses.accuracy, gradients
