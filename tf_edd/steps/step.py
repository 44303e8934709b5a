"""The interface of a step, and the plumbing that steps share as free functions.

A *step part* (`FirstOrder(...)`, frozen, made by gin or in Python) says which optional parts of a `Method` it takes and
builds the *step* of one search. The loop (`tf_edd.search.search`) calls nothing of a step but what `Step` declares.

Everything runs under `tf.distribute`. A replica sees its share of the global batch; its loss is the sum of its examples
divided by the global batch, and gradients are added over replicas before any norm is taken, so that clipping means the
same on one device and on eight.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.stateless import call_stateless
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers.gradients import share_of_accuracy, share_of_mean
from tf_edd.regularizers import Regularizer, StepContext, Term
from tf_edd.relaxations import Relaxation
from tf_edd.runtime.seeds import step_seed
from tf_edd.runtime.tracing import no_collection

if TYPE_CHECKING:
    from tf_edd.data.batches import SearchBatches

Scalars = dict[str, tf.Tensor]
Tables = dict[str, np.ndarray]  # cell kind -> [E, O]

# The optional parts of a `Method` that steps with architecture logits take.
LOGIT_PARTS = (
    "relaxation",
    "temperature",
    "arch_optimizer",
    "arch_rate",
    "regularizers",
    "warmup_epochs",
    "entropy_temperature",
)


class Batch(NamedTuple):
    """A batch of one split, per replica under a strategy.

    Attributes:
        images: [B, H, W, C] float32, augmented and normalized.
        labels: [B] int32.
        positions: [B] positions of the images in their split, where `Step.image_order` has given an order; else None.
    """

    images: tf.Tensor
    labels: tf.Tensor
    positions: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class StepInfo:
    """When a step is taken.

    Attributes:
        index: the global step, from 0; seeds everything random in it.
        epoch: from 0.
        progress: the share of the search that is done, from 0 to 1.
        temperature: of the epoch.
        phases: the phases to take; ("weights",) during the warm-up.
    """

    index: int
    epoch: int = 0
    progress: float = 0.0
    temperature: float = 1.0
    phases: tuple[str, ...] = ("weights", "arch")


class Architecture(NamedTuple):
    """What a step knows of the architecture between two epochs.

    Attributes:
        logits: cell kind -> [E, O].
        probs: cell kind -> noise-free weights of the candidates [E, O].
    """

    logits: Tables
    probs: Tables


@dataclasses.dataclass(frozen=True)
class EpochInfo:
    """An epoch whose steps are done.

    Attributes:
        epoch: from 0.
        epochs: length of the search.
        step: global steps so far.
        seed: of the search.
        batches: the images of the search.
        architecture: at the end of the epoch; None for `Step.end_epoch`, which may still change it.
    """

    epoch: int
    epochs: int
    step: int
    seed: int
    batches: "SearchBatches"
    architecture: Architecture | None = None


class Validation(NamedTuple):
    """What an epoch has come to.

    Attributes:
        genotype: the cell of the epoch.
        metrics: TensorBoard tag -> value: loss/valid, accuracy/valid, accuracy/discretized and what else there is.
    """

    genotype: Genotype
    metrics: dict[str, float]


class Step(Protocol):
    """Moves the weights, and with them the architecture, batch by batch."""

    phases: tuple[str, ...]
    """The optimizers that it moves, and the splits that it takes a batch of: "weights" the training split, "arch" the
    validation split. Each has a learning-rate schedule in the `Method`."""

    variables: Mapping[str, Any]
    """Name -> variables that a checkpoint keeps beside supernet, logits and optimizers."""

    def __call__(self, batches: Mapping[str, Batch], info: StepInfo) -> Scalars:
        """One step on a batch of each phase; returns scalars that are still on the device (`loss/...`, ...)."""

    def architecture(self, temperature: float) -> Architecture:
        """The logits of now, and the noise-free weights of the candidates at this temperature."""

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        """The cell of an epoch, and its accuracies on the validation split.

        Args:
            epoch: the epoch, with its `architecture`.
            evaluate: weights (cell kind -> [E, O]) -> (loss, accuracy) of the supernet on the validation split.
            discretizer: weights, space -> genotype.
        """

    def image_order(self, epoch: int) -> np.ndarray | None:
        """Positions of the training images in the order of an epoch (from 0); None for a random order of all."""

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        """After the last step of an epoch, before anything is measured; returns metrics to log."""


@dataclasses.dataclass(frozen=True)
class StepSetup:
    """What the search gives to a step part.

    Attributes:
        supernet: `supernet(images, probs, training)`, built.
        logits: the architecture logits; a step without any leaves them alone.
        method: the composition (`tf_edd.search.method.Method`), with the optimizers of this search, not built yet.
        train_images: how many training images there are.
        xla: whether XLA compiles the forward and backward pass of a replica.
        seed: of everything random.
    """

    supernet: Supernet
    logits: ArchLogits
    method: Any
    train_images: int = 0
    xla: bool = False
    seed: int = 0


class StepPart(Protocol):
    """The description of a step: a frozen dataclass that gin or a person makes, `Method.step`."""

    phases: ClassVar[tuple[str, ...]]
    """Of the step that it builds."""

    takes: ClassVar[tuple[str, ...]]
    """Which optional parts of the `Method` it takes: `LOGIT_PARTS`, some of them, or none. Others are refused."""

    learns_logits: ClassVar[bool]
    """Whether the architecture is learned as logits, so that entropy and collapse mean something."""

    def check(self, space, batches: "SearchBatches") -> None:
        """Raises UserError for a space or images that it cannot take; called before anything is built or written."""

    def build(self, setup: StepSetup) -> Step:
        """The step of one search, under the strategy in scope. Builds the optimizers that it moves."""


class PassInfo(NamedTuple):
    """The moment of a pass, as tensors, inside the traced functions.

    Attributes:
        temperature: scalar float32.
        progress: scalar float32, see `StepInfo`.
        seed: int32 [2], the same on all replicas; another one for each step and phase.
    """

    temperature: tf.Tensor
    progress: tf.Tensor
    seed: tf.Tensor


class Pass(NamedTuple):
    """What a forward and backward pass of one replica returns.

    Attributes:
        loss: this replica's share of the loss.
        accuracy: its share of the accuracy.
        gradients: of the share of the loss, scaled as the optimizer wants it; one for each variable of the phase.
    """

    loss: tf.Tensor
    accuracy: tf.Tensor
    gradients: Sequence[tf.Tensor]


def distributed(replica_step: Callable) -> Callable:
    """A traced function that runs `replica_step` on every replica and adds up the scalars that it returns."""
    strategy = tf.distribute.get_strategy()

    def step(*arguments):
        with no_collection():  # Python is here while it traces only
            per_replica = strategy.run(replica_step, args=arguments)
        return {
            tag: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for tag, value in per_replica.items()
        }

    return tf.function(step, autograph=False)


def compiled(function: Callable, xla: bool) -> Callable:
    """`function`, compiled by XLA if asked for: a pass, not a whole step, whose reduction is no XLA operation."""
    return tf.function(function, jit_compile=True, autograph=False) if xla else function


def temperature_variable() -> tf.Variable:
    """Feeds the temperature to traced functions, so that a new one needs no new trace."""
    return tf.Variable(1.0, trainable=False, name="temperature", aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)


def relaxed(relaxation: Relaxation, logits: Mapping[str, tf.Tensor], info: PassInfo) -> dict[str, tf.Tensor]:
    """Cell kind -> the weights of the candidates [E, O] of a training pass, with noise of its own for each kind."""
    return {
        kind: relaxation(value, info.temperature, tf.random.fold_in(info.seed, index))
        for index, (kind, value) in enumerate(logits.items())
    }


def noise_free(relaxation: Relaxation, logits: ArchLogits, temperature: float) -> Architecture:
    """The architecture of logits that are relaxed without noise: of entropy, genotype and evaluation."""
    tables = logits.numpy()
    return Architecture(tables, {kind: relaxation.mean(value, temperature).numpy() for kind, value in tables.items()})


def step_context(
    phase: str, setup: StepSetup, images, labels, logits, probs, info: PassInfo, fixed_weights: bool | None = None
) -> StepContext:
    """What `supernet_loss` and the regularizers see of a pass on one replica, before its outputs are known.

    `fixed_weights` says that nobody asks for the gradient of the supernet's weights; None for "in the phase arch".
    """
    return StepContext(
        phase,
        images,
        labels,
        logits,
        probs,
        None,
        setup.supernet,
        temperature=info.temperature,
        seed=info.seed,
        progress=info.progress,
        fixed_weights=phase == "arch" if fixed_weights is None else fixed_weights,
    )


def supernet_loss(context: StepContext, optimizer, terms: Sequence = (), skip_unused: bool = False):
    """Cross entropy of the supernet and its regularizers, on one replica.

    Args:
        context: of the pass; its `outputs` and `state` are filled in here.
        optimizer: scales the loss under float16.
        terms: (term, what its `tensors` has read).
        skip_unused: see `FirstOrder`; the logits learn from candidates of weight 0 too, so not in their pass.

    Returns:
        This replica's share of the loss, of the accuracy, and of the loss scaled for the optimizer.
    """
    options = {
        "skip_unused": skip_unused and context.phase == "weights",
        "fixed_weights": context.fixed_weights,
    }
    outputs = context.supernet(context.images, context.probs, training=True, **options)
    loss = share_of_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(context.labels, outputs))
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    for term, state in terms:
        loss += term(dataclasses.replace(context, outputs=outputs, skip_unused=skip_unused, state=state)) / replicas
    return loss, share_of_accuracy(context.labels, outputs), optimizer.scale_loss(loss)


def with_weights(supernet: Supernet, weights: Sequence[tf.Tensor], function: Callable):
    """What `function` returns when the supernet has these weights; none of its variables is read or written.

    Args:
        supernet: the network that `function` calls.
        weights: one tensor for each of `supernet.trainable_variables`, in their order. The other variables (moving
            averages) keep their values; what `function` would assign to them is dropped.
        function: takes no argument; differentiable with respect to `weights`.
    """
    given = {id(variable): value for variable, value in zip(supernet.trainable_variables, weights, strict=True)}
    values = [given.get(id(variable), variable.value) for variable in supernet.variables]
    return call_stateless(supernet, values, function)[0]


def summed(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The sums over all replicas, on each replica: from a replica's share of a gradient to the gradient."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(tensors)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))


def mixture_validation(epoch: EpochInfo, space, evaluate: Callable, discretizer: Callable) -> Validation:
    """The discretized cell, and the accuracies of the supernet and of that cell on the validation split."""
    probs = epoch.architecture.probs
    genotype = discretizer(probs, space)
    loss, accuracy = evaluate(probs)
    _, discretized = evaluate(genotype.one_hot(space))
    metrics = {"loss/valid": loss, "accuracy/valid": accuracy, "accuracy/discretized": discretized}
    return Validation(genotype, metrics)


class Terms:
    """The regularizers of one search.

    A regularizer that rests in an epoch is not in the functions of that epoch, which are those of a step without it.

    Args:
        regularizers: the parts.
        setup: of the step.
        temperature: the variable that feeds the temperature.
    """

    def __init__(self, regularizers: Sequence[Regularizer], setup: StepSetup, temperature: tf.Variable):
        self._parts = tuple(regularizers)
        built = [part.build(setup.supernet, setup.logits, setup.method.relaxation, temperature) for part in self._parts]
        self._terms: list[Term] = built

    @property
    def variables(self) -> dict[str, list]:
        """What a checkpoint keeps of them."""
        states = [variable for term in self._terms for variable in term.variables]
        return {"regularizers": states} if states else {}

    def begin_step(self, info: StepInfo) -> None:
        """Outside the traced functions, before each step."""
        for term in self._terms:
            term.begin_step(info.index, info.epoch)

    def acting(self, phase: str, epoch: int) -> tuple[int, ...]:
        """Places of those that are in the loss of this phase in this epoch."""
        return tuple(i for i, part in enumerate(self._parts) if phase in part.phases and part.active(epoch))

    def read(self, places: Sequence[int]) -> list:
        """What those at these places remember; read before a compiled pass, which cannot see the host's memory."""
        return [self._terms[place].tensors() for place in places]

    def paired(self, places: Sequence[int], states: Sequence) -> list[tuple[Term, Any]]:
        """The terms at these places with what `read` returned, as `supernet_loss` takes them."""
        return [(self._terms[place], state) for place, state in zip(places, states, strict=True)]


class StepFunctions:
    """One traced function for each phase and each set of regularizers that act together.

    Args:
        make: phase, places of the acting regularizers -> a function that runs on one replica, see `distributed`.

    Attributes:
        traced: the functions so far, by phase and places.
    """

    def __init__(self, make: Callable[[str, tuple[int, ...]], Callable]):
        self._make = make
        self.traced: dict[tuple, Callable] = {}

    def __call__(self, phase: str, acting: tuple[int, ...], *arguments) -> Scalars:
        """Runs one of them."""
        if (phase, acting) not in self.traced:
            self.traced[phase, acting] = distributed(self._make(phase, acting))
        return self.traced[phase, acting](*arguments)


def pass_info(setup: StepSetup, phase: str, moment, temperature: tf.Variable) -> PassInfo:
    """The moment of a pass, from what `moment_tensors` has given to the traced function."""
    index, progress = moment
    return PassInfo(temperature.read_value(), progress, step_seed(setup.seed, index, phase))


def moment_tensors(info: StepInfo) -> tuple[tf.Tensor, tf.Tensor]:
    """The global step and the progress, as a traced function takes them: numbers would be traced anew each time."""
    return tf.constant(info.index, tf.int64), tf.constant(info.progress, tf.float32)
