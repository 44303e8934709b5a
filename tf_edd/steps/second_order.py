"""The second-order bilevel step."""

import functools
import math
from typing import ClassVar

import keras
import tensorflow as tf

from tf_edd.errors import UserError, require_one_of, require_positive
from tf_edd.networks.unused import NEGLIGIBLE
from tf_edd.optimizers import LooksAhead, unscaled
from tf_edd.part import part
from tf_edd.steps.alternation import PHASES, Alternation, Skip, check_alternation, check_skip
from tf_edd.steps.first_order import check_negligible, weight_pass
from tf_edd.steps.plumbing import Pass, relaxed, step_context, summed, supernet_loss, with_weights
from tf_edd.steps.step import LOGIT_PARTS, StepSetup

PRODUCTS = ("finite_difference", "exact")
ZERO = tf.UnconnectedGradients.ZERO  # a candidate that a mixture leaves out has no gradient


@part(module="tf_edd.steps")
class SecondOrder:
    """The weights as in `FirstOrder`; the logits foresee the step that the weights will take (DARTS, Eq. 6 to 8).

        omega' = U(omega, g),    g = grad_omega L_train(omega, A)
        A <- A - rate ( grad_A L_valid(omega', A) + grad^2_{A,omega} L_train(omega, A) c ),
        c = (d omega' / d g)^T grad_omega' L_valid(omega', A)

    U is the next update of the weight optimizer at its current learning rate xi, with the momentum gathered so far and
    weight decay, but without the clip. For SGD c = -xi grad_omega' L_valid. Nesterov's momentum, which the released
    code ignores, is in omega' too, and multiplies this c by 1 + momentum. The product with the Hessian is exact or the
    finite difference

        ( grad_A L_train(omega + h c, A) - grad_A L_train(omega - h c, A) ) / (2 h),    h = epsilon / ||c||_2

    All passes of the architecture's turn draw the same noise and use the statistics of their batch; no moving average
    moves. L_train has none of the regularizers here; those of the logits are in L_valid.

    Attributes:
        order: "arch_first" (DARTS: the weights then learn from the batch that has been foreseen) or "weights_first".
        weight_gradient_clip: Largest global norm of the weight gradient, None for no limit.
        arch_gradient_clip: The same for the logits.
        skip_unused: See `FirstOrder`; it concerns the weight pass alone.
        negligible_weight: See `FirstOrder`.
        product: "finite_difference" (two passes more; kinks such as the ReLU's between its two points are errors), or
            "exact" by double back-propagation (more memory; every operation needs a second derivative).
        epsilon: Length of the finite difference in the space of the weights.

    Raises:
        UserError: An unknown order or product, a number that is not positive, (from `check`) a negligible_weight too
            large, or (from `build`) a weight optimizer that cannot look ahead.

    Source: Liu et al., "DARTS: Differentiable Architecture Search", arXiv 1806.09055;
    https://github.com/quark0/darts, `cnn/architect.py`, `_backward_step_unrolled`.
    """

    order: str = "arch_first"
    weight_gradient_clip: float | None = 5.0
    arch_gradient_clip: float | None = None
    skip_unused: bool | str = False
    negligible_weight: float = NEGLIGIBLE
    product: str = "finite_difference"
    epsilon: float = 0.01

    phases: ClassVar[tuple[str, ...]] = PHASES
    takes: ClassVar[tuple[str, ...]] = LOGIT_PARTS
    learns_logits: ClassVar[bool] = True

    def __post_init__(self):
        check_alternation(self.order, self.weight_gradient_clip, self.arch_gradient_clip)
        require_one_of(PRODUCTS, product=self.product)
        require_positive(epsilon=self.epsilon)
        check_skip(self.skip_unused, self.negligible_weight)

    def check(self, space, batches) -> None:
        """Accepts all images, and every space whose candidates do not begin with a negligible probability."""
        check_negligible(self.negligible_weight, space)

    def build(self, setup: StepSetup) -> Alternation:
        """The step of one search."""
        if setup.method.edge_weights is not None:
            check_negligible(self.negligible_weight, setup.supernet.space, edge_weights=True)
        optimizer = unscaled(setup.method.weight_optimizer)
        if not isinstance(optimizer, LooksAhead):
            raise UserError(
                "SecondOrder needs a weight optimizer with `values_after`, such as tf_edd.optimizers.SGD. Received: "
                f"{type(optimizer).__module__}.{type(optimizer).__name__}"
            )
        passes = {
            "weights": functools.partial(weight_pass, setup),
            "arch": functools.partial(arch_pass, setup, self),
        }
        clips = {"weights": self.weight_gradient_clip, "arch": self.arch_gradient_clip}
        return Alternation(setup, passes, self.order, clips, Skip(self.skip_unused, self.negligible_weight))


def arch_pass(setup: StepSetup, part: SecondOrder, batches, info, terms, unused=None) -> Pass:
    """Loss of the validation batch at the weights after their next step, and its gradient with respect to the logits.

    All losses are scaled as the optimizer of the logits wants it; the gradients of weights are unscaled at once.
    """
    optimizer, variables = setup.method.arch_optimizer, setup.supernet.trainable_variables
    logits = setup.logits.tensors()
    tables, scale = list(logits.values()), tf.cast(optimizer.scale_loss(1.0), tf.float32)

    def slopes(phase, weights, sources, terms=()):
        """Loss, accuracy and scaled gradients of the batch of a phase, at these weights."""
        images, labels, _ = batches[phase]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            probs = relaxed(setup.relaxation, logits, info)
            context = step_context(phase, setup, images, labels, logits, probs, info, fixed_weights=False)
            losses = with_weights(setup.supernet, weights, lambda: supernet_loss(context, optimizer, terms))
        return losses.loss, losses.accuracy, tape.gradient(losses.scaled, sources, unconnected_gradients=ZERO)

    def over_replicas(gradients):
        return [gradient / scale for gradient in summed(gradients)]

    weights = [tf.convert_to_tensor(variable.value) for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as train_tape:
        if part.product == "exact":
            train_tape.watch(tables)
        _, _, train_slopes = slopes("weights", weights, weights)
    gradients, overflow = over_replicas(train_slopes), 0.0
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It skips what is not finite and lowers its scale. The loss must stay finite, or the search would stop.
        fits = tf.math.is_finite(tf.add_n([tf.reduce_sum(gradient) for gradient in gradients]))
        gradients, overflow = [tf.where(fits, gradient, 0.0) for gradient in gradients], tf.where(fits, 0.0, math.nan)
    with tf.GradientTape(watch_accessed_variables=False) as update_tape:
        update_tape.watch(gradients)
        ahead = unscaled(setup.method.weight_optimizer).values_after(gradients, variables)
    loss, accuracy, (by_ahead, by_tables) = slopes("arch", ahead, (ahead, tables), terms)
    direction = update_tape.gradient(ahead, gradients, output_gradients=over_replicas(by_ahead))
    if part.product == "exact":
        product = train_tape.gradient(train_slopes, tables, direction, unconnected_gradients=ZERO)
    else:
        norm = tf.sqrt(2 * tf.add_n([tf.nn.l2_loss(c) for c in direction]))
        steps = [part.epsilon * tf.math.divide_no_nan(c, norm) for c in direction]  # none at a learning rate of 0
        _, _, above = slopes("weights", [w + step for w, step in zip(weights, steps, strict=True)], tables)
        _, _, below = slopes("weights", [w - step for w, step in zip(weights, steps, strict=True)], tables)
        product = [(a - b) * (norm / (2 * part.epsilon)) for a, b in zip(above, below, strict=True)]
    return Pass(loss, accuracy, [a + b + overflow for a, b in zip(by_tables, product, strict=True)])
