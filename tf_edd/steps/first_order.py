"""The first-order bilevel step."""

import functools
from typing import ClassVar

import tensorflow as tf

from tf_edd.architectures.mask import masked
from tf_edd.errors import UserError, require_share
from tf_edd.networks.unused import NEGLIGIBLE, Unused
from tf_edd.part import part
from tf_edd.relaxations.relaxation import one_hot
from tf_edd.samplers import ImageSampler
from tf_edd.steps.alternation import PHASES, Alternation, Skip, check_alternation, check_skip
from tf_edd.steps.drawn_images import DrawnImages, check_images, error_norms
from tf_edd.steps.exploration import explored
from tf_edd.steps.perturbation import Perturbation, perturbed
from tf_edd.steps.plumbing import Pass, relaxed, step_context, supernet_loss
from tf_edd.steps.step import LOGIT_PARTS, StepSetup

EXPLORATION, PERTURBATION = 0xE7, 0x9E  # their streams of random numbers; those of the relaxation count the cell types
ZERO = tf.UnconnectedGradients.ZERO  # a candidate that a mixture leaves out has no gradient


@part(module="tf_edd.steps")
class FirstOrder:
    """One step of the weights on the training batch and one of the logits on the validation batch (paper, Eq. 1).

        omega <- omega - rate grad_omega L_train(omega, A),    A <- A - rate grad_A L_valid(omega, A)

    Attributes:
        order: "weights_first" (NAS-Bench-201's DARTS-V1) or "arch_first" (DARTS).
        weight_gradient_clip: Largest global norm of the weight gradient, None for no limit.
        arch_gradient_clip: The same for the logits (the "clip" row of the paper's Table 1).
        skip_unused: Leave out candidates of negligible probability, as a small temperature makes most of them: in the
            weight pass they are not run, in the architecture pass they are run forward only. "auto" does so in the
            epochs that follow one with at least half of the candidates negligible at its end: with few of them it does
            not pay, and it takes a trace of its own, of about a minute for a large supernet. Moving averages, where the
            supernet keeps them, do not move in candidates that are not run.
        negligible_weight: The largest probability that is negligible. At 2^-32 the updates are the same in float32. A
            larger one leaves out more and is an approximation: such a candidate adds nothing to its node. With several
            replicas nothing is left out. It must be below the probability 1 / O that O candidates begin with.
        images: Draws the training images of the weights: `ImportanceImages` by the norms that the weight pass finds,
            of the cross entropy alone where there are regularizers. Its importance weights are in the gradient of the
            cross entropy alone. The validation images are in random order. None for a random order of both.
        exploration: Share of the weight steps, in [0, 1), in which a decided edge takes a uniformly drawn candidate; an
            edge takes part as far as it is decided, see `explored`. At a small temperature a candidate that has lost
            early is no longer trained, and untrained it cannot win again.
        perturbation: What the weights of the candidates become in the weight pass, `RandomSmoothing` or
            `AdversarialSmoothing` (SDARTS); None to leave them. An edge that explores is not perturbed.

    Raises:
        UserError: An unknown order, a clip or negligible_weight that is not positive, an exploration out of range, or
            (from `check` and `build`) a negligible_weight that is too large.

    Source: https://github.com/quark0/darts, `cnn/architect.py`, `_backward_step`.
    """

    order: str = "weights_first"
    weight_gradient_clip: float | None = 5.0
    arch_gradient_clip: float | None = None
    skip_unused: bool | str = False
    negligible_weight: float = NEGLIGIBLE
    images: ImageSampler | None = None
    exploration: float = 0.0
    perturbation: Perturbation | None = None

    phases: ClassVar[tuple[str, ...]] = PHASES
    takes: ClassVar[tuple[str, ...]] = LOGIT_PARTS
    learns_logits: ClassVar[bool] = True

    def __post_init__(self):
        check_alternation(self.order, self.weight_gradient_clip, self.arch_gradient_clip)
        check_skip(self.skip_unused, self.negligible_weight)
        require_share(below_one=True, exploration=self.exploration)

    def check(self, space, batches) -> None:
        """Refuses spaces whose candidates begin with a negligible probability, and data that do not fit the sampler."""
        check_negligible(self.negligible_weight, space)
        if self.images is not None:
            check_images("FirstOrder.images", self.images, batches)

    def build(self, setup: StepSetup) -> Alternation:
        """The step of one search.

        Raises:
            UserError: An exploration of rows that are no distributions, a negligible_weight that edges begin below, or
                a perturbation of a relaxation that runs one candidate of an edge alone.
        """
        if self.perturbation is not None and one_hot(setup.method.relaxation):
            raise UserError(
                f"{type(setup.method.relaxation).__name__} runs one candidate of an edge alone, without a perturbation"
                f". Received: FirstOrder.perturbation={type(self.perturbation).__name__}"
            )
        if self.exploration and not setup.method.relaxation.simplex:
            raise UserError(
                "FirstOrder.exploration needs a relaxation whose rows are distributions. Received: "
                f"relaxation={setup.method.relaxation!r}"
            )
        if setup.method.edge_weights is not None:
            check_negligible(self.negligible_weight, setup.supernet.space, edge_weights=True)
        drawn = DrawnImages(setup, self.images)
        passes = {
            "weights": functools.partial(
                weight_pass, setup, drawn=drawn, exploration=self.exploration, perturbation=self.perturbation
            ),
            "arch": functools.partial(arch_pass, setup),
        }
        clips = {"weights": self.weight_gradient_clip, "arch": self.arch_gradient_clip}
        return Alternation(setup, passes, self.order, clips, Skip(self.skip_unused, self.negligible_weight), drawn)


def check_negligible(negligible_weight: float, space, edge_weights: bool = False) -> None:
    """Raises UserError where equal probabilities of the candidates of an edge, or of a node, would be negligible."""
    candidates = max(count for _, count in space.logit_shapes.values())
    if edge_weights:  # the edges that enter a node share its weight
        candidates = max(
            cell.num_primitives * len(cell.incoming(node)) for cell in space.cells for node in cell.intermediate_nodes
        )
    if negligible_weight * candidates >= 1:
        raise UserError(
            f"negligible_weight must be below 1/{candidates}, the probability that each of {candidates} candidates "
            f"begins with. Received: negligible_weight={negligible_weight!r}"
        )


def weight_pass(
    setup: StepSetup,
    batches,
    info,
    terms,
    unused: Unused | None,
    drawn: DrawnImages | None = None,
    exploration: float = 0.0,
    perturbation: Perturbation | None = None,
) -> Pass:
    """Loss of the training batch, its gradient with respect to the weights, and the norms of its images."""
    images, labels, positions = batches["weights"]
    image_weights = None if drawn is None else drawn.weights(positions)
    logits = setup.logits.tensors()
    probs = relaxed(setup.relaxation, logits, info)
    metrics = None
    if perturbation is not None:
        seed = tf.random.fold_in(info.seed, PERTURBATION)
        probs, metrics = perturbed(perturbation, setup, batches["weights"], probs, info, seed)
        probs = masked(probs, info.allowed)
    if exploration:
        probs = masked(explored(probs, exploration, tf.random.fold_in(info.seed, EXPLORATION)), info.allowed)
    variables = [variable.value for variable in setup.supernet.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        context = step_context("weights", setup, images, labels, logits, probs, info)
        losses = supernet_loss(context, setup.method.weight_optimizer, terms, unused, image_weights)
    gradients = tape.gradient(losses.scaled, variables, unconnected_gradients=ZERO)
    norms = None if positions is None else error_norms(labels, losses.outputs)
    return Pass(losses.loss, losses.accuracy, gradients, norms, metrics)


def arch_pass(setup: StepSetup, batches, info, terms, unused: Unused | None) -> Pass:
    """Loss of the validation batch and its gradient with respect to the logits."""
    images, labels, _ = batches["arch"]
    logits = setup.logits.tensors()
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(logits)
        probs = relaxed(setup.relaxation, logits, info)
        context = step_context("arch", setup, images, labels, logits, probs, info)
        losses = supernet_loss(context, setup.method.arch_optimizer, terms, unused)
    gradients = tape.gradient(losses.scaled, list(logits.values()), unconnected_gradients=ZERO)
    return Pass(losses.loss, losses.accuracy, gradients)
