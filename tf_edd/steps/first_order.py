"""The first-order bilevel step."""

import functools
from typing import ClassVar

import tensorflow as tf

from tf_edd.part import part
from tf_edd.steps.alternation import PHASES, Alternation, check_alternation
from tf_edd.steps.plumbing import Pass, relaxed, step_context, supernet_loss
from tf_edd.steps.step import LOGIT_PARTS, StepSetup

ZERO = tf.UnconnectedGradients.ZERO  # a candidate that a mixture leaves out has no gradient


@part(module="tf_edd.steps")
class FirstOrder:
    """One step of the weights on the training batch and one of the logits on the validation batch (paper, Eq. 1).

        omega <- omega - rate grad_omega L_train(omega, A),    A <- A - rate grad_A L_valid(omega, A)

    Attributes:
        order: "weights_first" (NAS-Bench-201's DARTS-V1) or "arch_first" (DARTS).
        weight_gradient_clip: Largest global norm of the weight gradient, None for no limit.
        arch_gradient_clip: The same for the logits (the "clip" row of the paper's Table 1).
        skip_unused: In the weight pass do not run candidates whose probability is below 2^-32, as a small temperature
            makes most of them. The update is the same and cheaper; tracing takes longer. Moving averages, where the
            supernet keeps them, do not move in candidates that are left out.

    Raises:
        UserError: An unknown order, or a clip that is not positive.

    Source: https://github.com/quark0/darts, `cnn/architect.py`, `_backward_step`.
    """

    order: str = "weights_first"
    weight_gradient_clip: float | None = 5.0
    arch_gradient_clip: float | None = None
    skip_unused: bool = False

    phases: ClassVar[tuple[str, ...]] = PHASES
    takes: ClassVar[tuple[str, ...]] = LOGIT_PARTS
    learns_logits: ClassVar[bool] = True

    def __post_init__(self):
        check_alternation(self.order, self.weight_gradient_clip, self.arch_gradient_clip)

    def check(self, space, batches) -> None:
        """Accepts every space and all images."""

    def build(self, setup: StepSetup) -> Alternation:
        """The step of one search."""
        passes = {
            "weights": functools.partial(weight_pass, setup, self.skip_unused),
            "arch": functools.partial(arch_pass, setup, self.skip_unused),
        }
        clips = {"weights": self.weight_gradient_clip, "arch": self.arch_gradient_clip}
        return Alternation(setup, passes, self.order, clips)


def weight_pass(setup: StepSetup, skip_unused: bool, batches, info, terms) -> Pass:
    """Loss of the training batch and its gradient with respect to the weights."""
    images, labels, _ = batches["weights"]
    logits = setup.logits.tensors()
    probs = relaxed(setup.method.relaxation, logits, info)
    variables = [variable.value for variable in setup.supernet.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        context = step_context("weights", setup, images, labels, logits, probs, info)
        loss, accuracy, scaled = supernet_loss(context, setup.method.weight_optimizer, terms, skip_unused)
    return Pass(loss, accuracy, tape.gradient(scaled, variables, unconnected_gradients=ZERO))


def arch_pass(setup: StepSetup, skip_unused: bool, batches, info, terms) -> Pass:
    """Loss of the validation batch and its gradient with respect to the logits."""
    images, labels, _ = batches["arch"]
    logits = setup.logits.tensors()
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(logits)
        probs = relaxed(setup.method.relaxation, logits, info)
        context = step_context("arch", setup, images, labels, logits, probs, info)
        loss, accuracy, scaled = supernet_loss(context, setup.method.arch_optimizer, terms, skip_unused)
    return Pass(loss, accuracy, tape.gradient(scaled, list(logits.values()), unconnected_gradients=ZERO))
