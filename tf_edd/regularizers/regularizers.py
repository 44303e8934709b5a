"""Regularizers: terms that join the loss of the weight step, of the architecture step, or of both."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import gin
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.networks.stateless import call_stateless
from tf_edd.regularizers.snapshots import Snapshots, host_variables
from tf_edd.runtime.checkpoint import variables_of

PHASES = ("weights", "arch")
VOTES = ("mean", "majority")


@dataclasses.dataclass(frozen=True)
class StepContext:
    """What a regularizer sees of a step on one replica.

    Attributes:
        phase: "weights" or "arch".
        images: [b, H, W, channels], this replica's share.
        labels: [b].
        logits: cell kind -> architecture logits [E, O].
        probs: cell kind -> mixing probabilities [E, O].
        outputs: the supernet's logits [b, classes].
        supernet: the network.
        temperature: scalar.
        seed: int32 [2], the same on all replicas.
        skip_unused: whether a forward pass that asks for no gradient of the probabilities may leave operations out.
        state: what `StatefulRegularizer.tensors` has read; None for the others.
    """

    phase: str
    images: tf.Tensor
    labels: tf.Tensor
    logits: dict[str, tf.Tensor]
    probs: dict[str, tf.Tensor]
    outputs: tf.Tensor
    supernet: Callable
    temperature: tf.Tensor
    seed: tf.Tensor
    skip_unused: bool = False
    state: Any = None


class Regularizer(Protocol):
    """A term of the loss.

    Attributes:
        phases: in whose loss it is, of `PHASES`.
    """

    phases: Sequence[str]

    def __call__(self, context: StepContext) -> tf.Tensor:
        """The term, a float32 scalar: the mean over the examples of this replica. Called while tracing."""


@runtime_checkable
class StatefulRegularizer(Protocol):
    """A regularizer that remembers something from step to step, or that rests in some epochs.

    Attributes:
        phases: in whose loss it is, of `PHASES`.
        variables: its state, for the checkpoint.
    """

    phases: Sequence[str]
    variables: Sequence[tf.Variable]

    def build(self, supernet, logits, relaxation, temperature: tf.Variable) -> None:
        """Makes the state; called once, by the bilevel step."""

    def active(self, epoch: int) -> bool:
        """Whether it acts in this epoch (from 0). Where it does not, the step functions do not contain it."""

    def begin_step(self, index, epoch: int) -> None:
        """Called before each search step, outside of the step functions; `index` as `Bilevel.step` got it."""

    def tensors(self) -> Any:
        """Reads the state, a nested structure of tensors; called in the step function, before the (compiled) pass."""

    def __call__(self, context: StepContext) -> tf.Tensor:
        """As of `Regularizer`; `context.state` is what `tensors` returned."""


class SelfDistillation:
    """lambda T^2 KL(teacher || student), with earlier states of the supernet as the teachers; see `self_distillation`.

    The first step after the warm-up fills all K places with the state of that moment. With `every = n` a state is
    taken each n-th step and becomes a teacher in the step after: the newest teacher is 1 to n steps old. That is why
    one state more than K is kept. With `every = "epoch"` the first step of an epoch takes the state that the last epoch
    has ended with.
    """

    def __init__(self, teachers, every, vote, weight, distillation_temperature, warm_up_epochs, phases):
        self.phases = tuple(phases)
        self._teachers, self._every, self._vote = teachers, every, vote
        self._weight, self._softness = float(weight), float(distillation_temperature)
        self._warm_up_epochs = warm_up_epochs
        self.variables = []  # there are none before the supernet is known

    def build(self, supernet, logits, relaxation, temperature):
        """Makes room for the states of the supernet, the logits and the temperature."""
        self._supernet, self._relaxation, self._temperature = supernet, relaxation, temperature
        self._sizes = len(supernet.variables), len(logits.variables)
        self._kinds = list(logits.tensors())
        # Steps taken since the warm-up, the epoch of the last one, and its temperature.
        self._steps, self._epoch, self._last_temperature = host_variables(
            lambda: [tf.Variable(tf.zeros([], dtype), trainable=False) for dtype in (tf.int64, tf.int64, tf.float32)]
        )
        by_epoch = self._every == "epoch"
        # When an epoch begins, its temperature is set before its first step: too late to belong to the one before.
        sources = variables_of([supernet, logits, self._last_temperature if by_epoch else temperature])
        self._snapshots = Snapshots(sources, self._teachers + (not by_epoch))
        self.variables = [*self._snapshots.variables, self._steps, self._epoch, self._last_temperature]

    def active(self, epoch):
        """After the warm-up."""
        return epoch >= self._warm_up_epochs

    def begin_step(self, index, epoch):
        """Moves the teachers on; `index` is not used, for it may lie on a device that is busy."""
        if not self.active(epoch):
            return
        steps, changed = int(self._steps), epoch != int(self._epoch)
        if steps == 0:
            self._last_temperature.assign(self._temperature.read_value())
            self._snapshots.fill()
        else:
            shift, take = self._due(steps, changed)
            if shift:
                self._snapshots.shift()
            if take:
                self._snapshots.take()
        if changed:
            self._last_temperature.assign(self._temperature.read_value())
            self._epoch.assign(epoch)
        self._steps.assign_add(1)

    def _due(self, steps, changed):
        """Whether the states grow older before this step, and whether that of now is taken."""
        if self._every == "epoch":
            return changed, changed
        return (steps - 1) % self._every == 0, steps % self._every == 0

    def tensors(self):
        """Per teacher the values of the supernet's variables, the logits by cell kind, and the temperature."""
        slots = range(len(self._snapshots.slots))[-self._teachers :]
        return [self._apart(self._snapshots.tensors(slot)) for slot in slots]

    def _apart(self, values):
        weights, kinds = self._sizes
        logits = dict(zip(self._kinds, values[weights : weights + kinds], strict=True))
        return values[:weights], logits, values[-1]

    def __call__(self, context):
        """The term, a scalar float32."""
        votes = [self._votes(self._outputs(context, *state)) for state in context.state]
        teacher = tf.stop_gradient(tf.add_n(votes) / len(votes))
        student = tf.nn.log_softmax(tf.cast(context.outputs, tf.float32) / self._softness)
        divergence = tf.reduce_sum(tf.math.xlogy(teacher, teacher) - teacher * student, axis=-1)
        return self._weight * self._softness**2 * tf.reduce_mean(divergence)

    def _outputs(self, context, values, logits, temperature):
        """The logits [b, classes] of a teacher; what it would assign to moving averages is dropped."""
        probs = {kind: self._relaxation.mean(table, temperature) for kind, table in logits.items()}
        # `fixed_weights` as for the student: edges of one shape share the functions that it has anyhow.
        options = {"skip_unused": context.skip_unused, "fixed_weights": context.phase == "arch"}
        outputs, _ = call_stateless(
            self._supernet, values, lambda: self._supernet(context.images, probs, training=True, **options)
        )
        return tf.cast(outputs, tf.float32)

    def _votes(self, outputs):
        """A distribution [b, classes] for each example."""
        if self._vote == "majority":
            return tf.one_hot(tf.argmax(outputs, axis=-1), outputs.shape[-1])
        return tf.nn.softmax(outputs / self._softness)


@gin.configurable(module="tf_edd.regularizers.regularizers")
def self_distillation(
    teachers: int = 1,
    every: int | str = 1,
    vote: str = "mean",
    weight: float = 1.0,
    distillation_temperature: float = 1.0,
    warm_up_epochs: int = 5,
    phases: Sequence[str] = PHASES,
) -> SelfDistillation:
    """Self-distillation with voted teachers: the supernet learns from what it was before.

        lambda T^2 mean_b KL(P_b || softmax(z_b / T)),   P = vote over k of softmax(z^(k) / T)

    z are the supernet's outputs on the batch of the phase, z^(k) those of the supernet with the weights, the logits and
    the temperature of an earlier moment, its probabilities without noise (`relaxation.mean`), its batch norms with the
    statistics of the batch. T^2 keeps the size of the gradient when T changes (Hinton et al., arXiv 1503.02531). No
    gradient reaches a teacher. Each teacher costs a forward pass in each of the phases, and the memory of the weights
    (one more with `every` in steps), and none of the time before the warm-up ends.

    Args:
        teachers: K, how many earlier supernets vote.
        every: steps from one teacher to the next; "epoch" for the supernets at the ends of the last K epochs.
        vote: "mean" of the teachers' probabilities, or "majority": the shares of the teachers that a class is best for.
        weight: lambda.
        distillation_temperature: T, of the outputs; the temperature of the architecture is another.
        warm_up_epochs: epochs at the start without distillation.
        phases: in which losses, of "weights" and "arch".

    Raises:
        UserError: an impossible argument.

    Source: "Improving Differentiable Architecture Search via Self-Distillation" (SD-DARTS), arXiv 2302.05629.
    """
    _check_count("teachers", teachers, 1)
    if every != "epoch":
        _check_count("every", every, 1, ' or "epoch"')
    _check_count("warm_up_epochs", warm_up_epochs, 0)
    if vote not in VOTES:
        raise UserError(f"vote must be one of {', '.join(VOTES)}. Received: vote={vote!r}")
    for name, value in (("weight", weight), ("distillation_temperature", distillation_temperature)):
        if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
            raise UserError(f"{name} must be a number above 0. Received: {name}={value!r}")
    check_phases(phases)
    return SelfDistillation(teachers, every, vote, weight, distillation_temperature, warm_up_epochs, phases)


def check_active(regularizers: Sequence[Regularizer], epochs: int) -> None:
    """Raises UserError for a regularizer that acts in none of the epochs."""
    for regularizer in regularizers:
        if isinstance(regularizer, StatefulRegularizer) and not any(map(regularizer.active, range(epochs))):
            raise UserError(
                f"{type(regularizer).__name__} must act in some of the {epochs} epochs: lower its warm_up_epochs. "
                "Received: a search without it"
            )


def check_phases(phases) -> None:
    """Raises UserError unless `phases` has one or both of `PHASES`."""
    if isinstance(phases, str) or not phases or not set(phases) <= set(PHASES):
        raise UserError(f"phases must be a list of 'weights', 'arch' or both. Received: phases={phases!r}")


def _check_count(name, value, least, otherwise=""):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{name} must be an integer of at least {least}{otherwise}. Received: {name}={value!r}")
