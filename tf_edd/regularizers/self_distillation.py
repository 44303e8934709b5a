"""Self-distillation: the supernet learns from what it was before."""

from collections.abc import Sequence

import tensorflow as tf

from tf_edd.architectures.mask import masked
from tf_edd.errors import require_count, require_one_of, require_positive
from tf_edd.networks.stateless import call_stateless
from tf_edd.part import part
from tf_edd.regularizers.regularizer import PHASES, Regularizer, StepContext, Term, check_phases
from tf_edd.regularizers.snapshots import Snapshots, host_variables
from tf_edd.runtime.checkpoint import variables_of

VOTES = ("mean", "majority")


@part(module="tf_edd.regularizers")
class SelfDistillation(Regularizer):
    """Self-distillation with voted teachers, which are earlier states of the supernet.

        lambda T^2 mean_b KL(P_b || softmax(z_b / T)),   P = vote over k of softmax(z^(k) / T)

    z are the supernet's outputs on the batch of the phase, z^(k) those of the supernet with the weights, the logits and
    the temperature of an earlier moment. The probabilities of a teacher are without noise (`relaxation.mean`), and its
    batch norms use the statistics of the batch. It leaves out what decisions have closed since. T^2 keeps the size of
    the gradient when T changes (Hinton et al., arXiv 1503.02531). No gradient reaches a teacher.

    Each teacher costs a forward pass in each of the phases, and memory for the weights (one more copy with `every` in
    steps); before the warmup ends it costs no time.

    Attributes:
        teachers: K, how many earlier supernets vote.
        every: Steps from one teacher to the next, or "epoch" for the supernets at the ends of the last K epochs.
        vote: "mean" of the teachers' probabilities, or "majority": the share of the teachers that rank a class first.
        weight: lambda.
        distillation_temperature: T, of the outputs; not the temperature of the architecture.
        warmup_epochs: Epochs at the start without distillation.
        phases: In which losses it is, of "weights" and "arch".

    Raises:
        UserError: A value out of range.

    Source: "Improving Differentiable Architecture Search via Self-Distillation" (SD-DARTS), arXiv 2302.05629.
    """

    teachers: int = 1
    every: int | str = 1
    vote: str = "mean"
    weight: float = 1.0
    distillation_temperature: float = 1.0
    warmup_epochs: int = 5
    phases: Sequence[str] = PHASES

    def __post_init__(self):
        require_count(teachers=self.teachers)
        if self.every != "epoch":
            require_count(note=' or "epoch"', every=self.every)
        require_count(0, warmup_epochs=self.warmup_epochs)
        require_one_of(VOTES, vote=self.vote)
        for name in ("weight", "distillation_temperature"):
            require_positive(**{name: getattr(self, name)})
            object.__setattr__(self, name, float(getattr(self, name)))
        check_phases(self.phases)
        object.__setattr__(self, "phases", tuple(self.phases))

    def active(self, epoch: int) -> bool:
        return epoch >= self.warmup_epochs

    def build(self, supernet, logits, relaxation, temperature: tf.Variable) -> "DistillationTerm":
        return DistillationTerm(self, supernet, logits, relaxation, temperature)

    def divergence(self, outputs: tf.Tensor, teachers: Sequence[tf.Tensor]) -> tf.Tensor:
        """The term for given outputs.

        Args:
            outputs: z of the student, [b, classes].
            teachers: z^(k), K tensors [b, classes] float32.

        Returns:
            A scalar float32.
        """
        votes = [self._vote(teacher) for teacher in teachers]
        teacher = tf.stop_gradient(tf.add_n(votes) / len(votes))
        student = tf.nn.log_softmax(tf.cast(outputs, tf.float32) / self.distillation_temperature)
        divergence = tf.reduce_sum(tf.math.xlogy(teacher, teacher) - teacher * student, axis=-1)
        return self.weight * self.distillation_temperature**2 * tf.reduce_mean(divergence)

    def _vote(self, outputs: tf.Tensor) -> tf.Tensor:
        """The vote of one teacher: a distribution [b, classes] for each example."""
        if self.vote == "majority":
            return tf.one_hot(tf.argmax(outputs, axis=-1), outputs.shape[-1])
        return tf.nn.softmax(outputs / self.distillation_temperature)


class DistillationTerm(Term):
    """`SelfDistillation` in one search: it keeps the earlier states of the supernet.

    The first step after the warmup fills all K places with the state of that moment. With `every = n` a state is taken
    in each n-th step and becomes a teacher in the step after, so that the newest teacher is 1 to n steps old; that is
    why one state more than K is kept. With `every = "epoch"` the first step of an epoch takes the state with which the
    last epoch has ended.

    Args:
        part: The description.
        supernet: See `Regularizer.build`, also for the other arguments.

    Attributes:
        variables: The kept states, the number of steps since the warmup, and the epoch and temperature of the last one.
    """

    def __init__(self, part: SelfDistillation, supernet, logits, relaxation, temperature: tf.Variable):
        self._part = part
        self._supernet, self._relaxation, self._temperature = supernet, relaxation, temperature
        self._sizes = len(supernet.variables), len(logits.variables)
        self._kinds = list(logits.tensors())
        # Steps taken since the warmup, the epoch of the last one, and its temperature.
        self._steps, self._epoch, self._last_temperature = host_variables(
            lambda: [tf.Variable(tf.zeros([], dtype), trainable=False) for dtype in (tf.int64, tf.int64, tf.float32)]
        )
        by_epoch = part.every == "epoch"
        # When an epoch begins, its temperature is set before its first step: too late to belong to the one before.
        sources = variables_of([supernet, logits, self._last_temperature if by_epoch else temperature])
        self._snapshots = Snapshots(sources, part.teachers + (not by_epoch))
        self.variables = [*self._snapshots.variables, self._steps, self._epoch, self._last_temperature]

    def begin_step(self, index: int, epoch: int) -> None:
        """Takes a state, if one is due, and moves the teachers on."""
        if not self._part.active(epoch):
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

    def tensors(self) -> list:
        """For each teacher the values of the supernet's variables, the logits by type of cell, and the temperature."""
        slots = range(len(self._snapshots.slots))[-self._part.teachers :]
        return [self._split(self._snapshots.tensors(slot)) for slot in slots]

    def __call__(self, context: StepContext) -> tf.Tensor:
        return self._part.divergence(context.outputs, [self._outputs(context, *state) for state in context.state])

    def _due(self, steps, changed):
        """Whether the states grow older before this step, and whether the present one is taken."""
        every = self._part.every
        if every == "epoch":
            return changed, changed
        return (steps - 1) % every == 0, steps % every == 0

    def _split(self, values):
        weights, cell_types = self._sizes
        logits = dict(zip(self._kinds, values[weights : weights + cell_types], strict=True))
        return values[:weights], logits, values[-1]

    def _outputs(self, context, values, logits, temperature):
        """The outputs [b, classes] of a teacher; what it would assign to moving averages is dropped."""
        # What was closed since is no longer trained.
        probs = masked(self._relaxation.mean(logits, temperature), context.allowed)
        # `fixed_weights` as for the student: edges of one shape share the functions that it has anyhow.
        options = {"unused": context.unused, "fixed_weights": context.fixed_weights}
        if context.moment is not None:
            options["moment"] = context.moment._replace(seed=None)
        outputs, _ = call_stateless(
            self._supernet, values, lambda: self._supernet(context.images, probs, training=True, **options)
        )
        return tf.cast(outputs, tf.float32)
