"""The bilevel step: weights on the training half, architecture logits on the validation half (paper, Eq. 1).

Everything runs under `tf.distribute`. A replica sees its share of the global batch; its loss is the sum of its examples
divided by the global batch, gradients are added over replicas before any norm is taken, so that clipping means the same
on one device and on eight.
"""

import dataclasses
import functools
from collections.abc import Sequence

import gin
import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.optimizers.gradients import apply_gradients, share_of_accuracy, share_of_mean
from tf_edd.regularizers.regularizers import PHASES, StatefulRegularizer, StepContext, check_phases
from tf_edd.runtime.seeds import step_seed
from tf_edd.runtime.tracing import no_collection
from tf_edd.search.metrics import mixture_accuracies

_ZERO = tf.UnconnectedGradients.ZERO  # an operation that a mixture leaves out has no gradient


class Bilevel:
    """First-order alternation of one weight step and one architecture step.

    Args:
        supernet: `supernet(images, probs, training)`, built.
        logits: the architecture logits.
        relaxation: logits, temperature, seed -> probabilities.
        weight_optimizer: of the supernet's weights; built here.
        arch_optimizer: of the logits; built here.
        regularizers: terms added to the loss of their phases (`tf_edd.regularizers.regularizers.Regularizer`). One that rests in an
            epoch is not in the step functions of that epoch, which are those of a step without it.
        order: "weights_first" (NAS-Bench-201's DARTS-V1) or "arch_first" (DARTS).
        weight_gradient_clip: largest global norm of the weight gradient, None for no limit.
        arch_gradient_clip: the same for the logits (the "clip" row of the paper's Table 1).
        skip_unused: in the weight step do not run operations whose probability is below 2^-32, as a small temperature
            makes most of them. The update is the same and cheaper; tracing takes longer. Moving averages, where the
            supernet keeps them, do not move in operations that are left out.
        xla: compile the forward and backward pass of a replica.
        seed: of the relaxation's noise.

    Attributes:
        temperature: the variable that the loop assigns.
        functions: phase -> the step function in use; one is made for each set of regularizers that act together.
        phases: the phases that it has.
        variables: name -> variables that a checkpoint needs beside supernet, logits and optimizers: those of the
            regularizers.

    Raises:
        UserError: an unknown order or phase, a clip that is not positive, or no relaxation or optimizer of the logits.
    """

    phases = PHASES

    def __init__(
        self,
        supernet,
        logits: ArchLogits,
        relaxation,
        weight_optimizer,
        arch_optimizer,
        regularizers: Sequence = (),
        order: str = "weights_first",
        weight_gradient_clip: float | None = 5.0,
        arch_gradient_clip: float | None = None,
        skip_unused: bool = False,
        xla: bool = False,
        seed: int = 0,
    ):
        if order not in ("weights_first", "arch_first"):
            raise UserError(f"order must be 'weights_first' or 'arch_first'. Received: order={order!r}")
        for name, clip in (("weight_gradient_clip", weight_gradient_clip), ("arch_gradient_clip", arch_gradient_clip)):
            if clip is not None and not clip > 0:
                raise UserError(f"{name} must be positive or None. Received: {name}={clip}")
        if relaxation is None or arch_optimizer is None:
            raise UserError(
                "A bilevel step needs search.relaxation and search.arch_optimizer. Received: "
                f"relaxation={relaxation}, arch_optimizer={arch_optimizer}"
            )
        self._supernet, self._logits, self._relaxation = supernet, logits, relaxation
        self._optimizers = {"weights": weight_optimizer, "arch": arch_optimizer}
        self._clips = {"weights": weight_gradient_clip, "arch": arch_gradient_clip}
        for regularizer in regularizers:
            check_phases(regularizer.phases)
        self._regularizers = tuple(regularizers)
        self._order = PHASES if order == "weights_first" else PHASES[::-1]
        self._skip_unused = skip_unused
        self._seed = seed
        self._strategy = tf.distribute.get_strategy()
        self.temperature = tf.Variable(
            1.0, trainable=False, name="temperature", aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
        self._variables = {"weights": supernet.trainable_variables, "arch": logits.variables}
        for phase in PHASES:
            self._optimizers[phase].build(self._variables[phase])
        self._xla = xla
        self._stateful = [r for r in regularizers if isinstance(r, StatefulRegularizer)]
        for regularizer in self._stateful:
            regularizer.build(supernet, logits, relaxation, self.temperature)
        states = [variable for regularizer in self._stateful for variable in regularizer.variables]
        self.variables = {"regularizers": states} if states else {}
        self._functions = {}
        self.functions = self._functions_without(self._stateful)

    def step(
        self, train_batch, valid_batch, index, phases: Sequence[str] = PHASES, epoch: int = 0
    ) -> dict[str, tf.Tensor]:
        """One search step on a batch of each half.

        Args:
            train_batch: images and labels for the weights (per replica under a strategy).
            valid_batch: images and labels for the logits.
            index: global step, a scalar int64 tensor; seeds the noise.
            phases: which steps to take; ("weights",) while the logits are frozen.
            epoch: of this step, from 0; for regularizers that have a state.

        Returns:
            Scalars still on the device: loss/weights, accuracy/train, loss/arch, arch/logit_gradient_norm, ...
        """
        if self._stateful:
            for regularizer in self._stateful:
                regularizer.begin_step(index, epoch)
            self.functions = self._functions_without([r for r in self._stateful if not r.active(epoch)])
        batches = {"weights": train_batch, "arch": valid_batch}
        scalars = {}
        for phase in self._order:
            if phase in phases:
                scalars.update(self.functions[phase](*batches[phase], index))
        return scalars

    def prepare(self, feed) -> None:
        """Nothing: it takes the images as they come."""

    def order(self, epoch: int) -> None:
        """Every image once an epoch, in a random order."""

    def end_epoch(self, state, feed) -> dict[str, float]:
        """Nothing is learnt, and nothing measured, between epochs."""
        return {}

    def distribution(self, temperature: float) -> tuple[dict, dict]:
        """The logits of now, and the noise-free training distribution at this temperature, cell kind -> [E, O]."""
        logits = self._logits.numpy()
        return logits, {kind: self._relaxation.mean(value, temperature).numpy() for kind, value in logits.items()}

    def assess(self, state, evaluate, discretizer):
        """The discretised cell, and the accuracies of the supernet and of that cell on the validation half."""
        genotype = discretizer(state.probs, state.space)
        return genotype, mixture_accuracies(evaluate, state.probs, genotype.one_hot(state.space))

    def _functions_without(self, resting):
        """Phase -> step function of the regularizers that do not rest."""
        return {phase: self._function(phase, self._acting(phase, resting)) for phase in PHASES}

    def _acting(self, phase, resting):
        """Places of the regularizers that act in this phase."""
        able = [i for i, regularizer in enumerate(self._regularizers) if phase in regularizer.phases]
        return tuple(i for i in able if all(self._regularizers[i] is not other for other in resting))

    def _function(self, phase, acting):
        if (phase, acting) not in self._functions:
            self._functions[phase, acting] = tf.function(self._make_step(phase, acting), autograph=False)
        return self._functions[phase, acting]

    def _make_step(self, phase, acting):
        regularizers = [self._regularizers[place] for place in acting]
        gradients_of = {"weights": self._weight_pass, "arch": self._arch_pass}[phase]

        def one_pass(*arguments):
            return gradients_of(regularizers, *arguments)

        if self._xla:  # the whole step cannot be compiled: its reduction over replicas is no XLA operation
            one_pass = tf.function(one_pass, jit_compile=True, autograph=False)

        def replica_step(images, labels, index):
            # Read out here: what lies in the memory of the host cannot be read in a function compiled for a GPU.
            states = [r.tensors() if isinstance(r, StatefulRegularizer) else None for r in regularizers]
            return self._replica_step(phase, functools.partial(one_pass, states), images, labels, index)

        def distributed_step(images, labels, index):
            with no_collection():  # Python is here while it traces only
                per_replica = self._strategy.run(replica_step, args=(images, labels, index))
            return {
                tag: self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                for tag, value in per_replica.items()
            }

        return distributed_step

    def _replica_step(self, phase, one_pass, images, labels, index):
        seed = step_seed(self._seed, index, phase)
        loss, accuracy, gradients = one_pass(images, labels, self.temperature.read_value(), seed)
        norm = apply_gradients(self._optimizers[phase], gradients, self._variables[phase], self._clips[phase])
        share = norm / self._strategy.num_replicas_in_sync
        if phase == "weights":
            return {"loss/weights": loss, "accuracy/train": accuracy, "weights/gradient_norm": share}
        return {"loss/arch": loss, "accuracy/arch": accuracy, "arch/logit_gradient_norm": share}

    def _weight_pass(self, regularizers, states, images, labels, temperature, seed):
        logits = self._logits.tensors()
        probs = self._probs(logits, temperature, seed)
        variables = [variable.value for variable in self._variables["weights"]]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            step = StepContext("weights", images, labels, logits, probs, None, self._supernet, temperature, seed)
            loss, accuracy, scaled = self._loss(step, regularizers, states)
        return loss, accuracy, tape.gradient(scaled, variables, unconnected_gradients=_ZERO)

    def _arch_pass(self, regularizers, states, images, labels, temperature, seed):
        logits = self._logits.tensors()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            probs = self._probs(logits, temperature, seed)
            step = StepContext("arch", images, labels, logits, probs, None, self._supernet, temperature, seed)
            loss, accuracy, scaled = self._loss(step, regularizers, states)
        return loss, accuracy, tape.gradient(scaled, list(logits.values()), unconnected_gradients=_ZERO)

    def _probs(self, logits, temperature, seed):
        return {
            kind: self._relaxation(value, temperature, tf.random.fold_in(seed, index))
            for index, (kind, value) in enumerate(logits.items())
        }

    def _loss(self, step, regularizers, states):
        """This replica's share of the loss, of the accuracy, and of the loss scaled for the optimizer."""
        arch = step.phase == "arch"  # the logits learn from operations of weight 0 too
        options = {"skip_unused": self._skip_unused and not arch, "fixed_weights": arch}
        outputs = self._supernet(step.images, step.probs, training=True, **options)
        loss = share_of_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(step.labels, outputs))
        for regularizer, state in zip(regularizers, states, strict=True):
            context = dataclasses.replace(step, outputs=outputs, skip_unused=self._skip_unused, state=state)
            loss += regularizer(context) / self._strategy.num_replicas_in_sync
        return loss, share_of_accuracy(step.labels, outputs), self._optimizers[step.phase].scale_loss(loss)


@gin.configurable(module="tf_edd.steps.first_order")
def first_order(
    supernet,
    logits,
    relaxation,
    weight_optimizer,
    arch_optimizer,
    regularizers=(),
    order="weights_first",
    weight_gradient_clip=5.0,
    arch_gradient_clip=None,
    skip_unused=False,
    xla=False,
    seed=0,
) -> Bilevel:
    """The first-order bilevel step; the arguments up to `regularizers`, `xla` and `seed` come from the search."""
    return Bilevel(
        supernet,
        logits,
        relaxation,
        weight_optimizer,
        arch_optimizer,
        regularizers,
        order,
        weight_gradient_clip,
        arch_gradient_clip,
        skip_unused,
        xla,
        seed,
    )
