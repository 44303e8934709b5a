"""The plumbing that steps share, as free functions; the interface of a step is in `step.py`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits, candidate_tables
from tf_edd.architectures.mask import masked
from tf_edd.errors import UserError
from tf_edd.networks.moment import Moment
from tf_edd.networks.stateless import call_stateless
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.optimizers.gradients import apply_gradients, share_of_accuracy, share_of_mean
from tf_edd.regularizers import Regularizer, StepContext, Term
from tf_edd.relaxations import BoundRelaxation
from tf_edd.relaxations.relaxation import one_hot
from tf_edd.runtime.seeds import step_seed
from tf_edd.runtime.tracing import no_collection
from tf_edd.steps.step import Architecture, EpochInfo, Scalars, StepInfo, StepSetup, Validation

EDGES = 0xED  # the stream of random numbers of what surrounds edges; those of the relaxation count the cell types


class PassInfo(NamedTuple):
    """The moment of a pass, as tensors, inside the traced functions.

    Attributes:
        temperature: scalar float32.
        progress: scalar float32, see `StepInfo`.
        seed: int32 [2], the same on all replicas; another one for each step and phase.
        epoch_progress: scalar float32, see `StepInfo`.
        allowed: cell type -> which candidates are allowed, [E, O] float32 (`architectures.mask`); None for all of them.
    """

    temperature: tf.Tensor
    progress: tf.Tensor
    seed: tf.Tensor
    epoch_progress: tf.Tensor | float = 0.0
    allowed: Mapping[str, tf.Tensor] | None = None


class Pass(NamedTuple):
    """What a forward and backward pass of one replica returns.

    Attributes:
        loss: this replica's share of the loss.
        accuracy: its share of the accuracy.
        gradients: of the share of the loss, scaled as the optimizer wants it; one for each variable of the phase.
        image_norms: [b] for a sampler of images, see `drawn_images.error_norms`; None without one.
        metrics: tag -> scalar, equal on all replicas: what else the pass has to tell, None for nothing.
    """

    loss: tf.Tensor
    accuracy: tf.Tensor
    gradients: Sequence[tf.Tensor]
    image_norms: tf.Tensor | None = None
    metrics: Mapping[str, tf.Tensor] | None = None


class Losses(NamedTuple):
    """What `supernet_loss` returns.

    Attributes:
        loss: this replica's share of the loss.
        accuracy: its share of the accuracy.
        scaled: its share of the loss that is differentiated, with importance weights, and scaled for the optimizer.
        outputs: [b, classes], the logits of the classes.
    """

    loss: tf.Tensor
    accuracy: tf.Tensor
    scaled: tf.Tensor
    outputs: tf.Tensor


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


def check_single_path(setup: StepSetup) -> None:
    """Raises UserError where candidates would be run, and move their averages, that one replica would leave out."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if one_hot(setup.method.relaxation) and replicas > 1 and setup.supernet.running_statistics:
        raise UserError(
            f"{type(setup.method.relaxation).__name__} keeps no moving averages on several replicas, which run all "
            f"candidates: set Method.running_statistics = False. Received: True with {replicas} replicas"
        )


def edge_metrics(setup: StepSetup, epoch: EpochInfo) -> dict[str, float]:
    """What surrounds the edges at the end of an epoch, by TensorBoard tag."""
    found: dict[str, float] = {}
    for part in setup.method.edges:
        found |= part.metrics(epoch.progress)
    return found


def relaxed(relaxation: BoundRelaxation, logits: Mapping[str, tf.Tensor], info: PassInfo) -> dict[str, tf.Tensor]:
    """Cell type -> the weights of the candidates [E, O] of a training pass, with noise of its own for each type.

    What decisions have closed is left out, see `masked`.
    """
    return masked(relaxation(logits, info.temperature, info.seed), info.allowed)


def noise_free(relaxation: BoundRelaxation, logits: ArchLogits, temperature: float) -> Architecture:
    """The architecture of logits that are relaxed without noise: of entropy, genotype and evaluation."""
    tables = logits.numpy()
    weights = relaxation.mean(tables, temperature)
    if (allowed := logits.allowed()) is not None:
        weights = {name: value + 0.0 for name, value in masked(weights, allowed).items()}  # without negative zeros
    return Architecture(tables, {name: value.numpy() for name, value in weights.items()})


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
        candidate_tables(logits),
        probs,
        None,
        setup.supernet,
        temperature=info.temperature,
        seed=info.seed,
        progress=info.progress,
        fixed_weights=phase == "arch" if fixed_weights is None else fixed_weights,
        moment=Moment(info.progress, tf.random.fold_in(info.seed, EDGES)) if setup.method.edges else None,
        single_path=one_hot(setup.method.relaxation),
        allowed=info.allowed,
    )


def supernet_loss(
    context: StepContext,
    optimizer,
    terms: Sequence = (),
    unused: Unused | None = None,
    weights: tf.Tensor | None = None,
) -> Losses:
    """Cross entropy of the supernet and its regularizers, on one replica.

    Args:
        context: of the pass; its `outputs` and `state` are filled in here.
        optimizer: scales the loss under float16.
        terms: (term, what its `tensors` has read).
        unused: which candidates are left out, None for none. The logits learn from those too, so their pass runs them
            forward, and all of them backward if the context asks for the gradient of the weights as well. Where the
            context has a single path, the others are left out anyway, and the logits learn by `weighted_single`.
        weights: [b] importance weights of the images, in the gradient of the cross entropy alone; None for none.
    """
    options = {"unused": _left_out(context, unused), "fixed_weights": context.fixed_weights}
    if context.moment is not None:
        options["moment"] = context.moment
    if context.single_path:
        options |= {"single_path": True, "path_gradient": True}
    outputs = context.supernet(context.images, context.probs, training=True, **options)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(context.labels, outputs)
    cross_entropy = share_of_mean(losses)
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    added = [
        term(dataclasses.replace(context, outputs=outputs, unused=unused, state=state)) / replicas
        for term, state in terms
    ]
    loss = sum(added, cross_entropy)
    trained = loss if weights is None else sum(added, share_of_mean(weights * losses))
    return Losses(loss, share_of_accuracy(context.labels, outputs), optimizer.scale_loss(trained), outputs)


def _left_out(context: StepContext, unused: Unused | None) -> Unused | None:
    """What the supernet leaves out of a pass whose gradients are asked for."""
    if unused is None or context.phase == "weights":
        return unused
    return unused._replace(forward=True) if context.fixed_weights else None


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


def move_logits(optimizer, gradients: Sequence[tf.Tensor], logits: ArchLogits, clip: float | None = None) -> tf.Tensor:
    """`apply_gradients` for logits, of which those of decided edges rest; call it in replica context.

    The gradient of such an edge is not in the norm, and neither momentum nor weight decay moves its logits.

    Returns:
        The global norm before clipping, see `apply_gradients`.
    """
    if (undecided := logits.undecided()) is None:
        return apply_gradients(optimizer, gradients, logits.variables, clip)
    gradients = [tf.where(rows, slope, 0.0) for rows, slope in zip(undecided, gradients, strict=True)]
    before = [tf.identity(variable.value) for variable in logits.variables]
    norm = apply_gradients(optimizer, gradients, logits.variables, clip)
    kept = list(zip(logits.variables, undecided, before, strict=True))
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        for variable, rows, value in kept:
            variable.value.assign(tf.where(rows, variable.value, value))
        return norm

    def hold(strategy, undecided, before):
        for variable, rows, value in zip(logits.variables, undecided, before, strict=True):
            strategy.extended.update(
                variable.value, lambda copy, rows, value: copy.assign(tf.where(rows, copy, value)), args=(rows, value)
            )

    context.merge_call(hold, args=(undecided, before))
    return norm


def move(setup: StepSetup, phase: str, gradients: Sequence[tf.Tensor], clip: float | None) -> tf.Tensor:
    """Applies the gradients of a phase, "weights" or "arch", in replica context; returns their norm before clipping."""
    if phase == "arch":
        return move_logits(setup.method.arch_optimizer, gradients, setup.logits, clip)
    return apply_gradients(setup.method.weight_optimizer, gradients, setup.supernet.trainable_variables, clip)


def mixture_validation(
    epoch: EpochInfo, space, evaluate: Callable, discretizer: Callable, progress: float | None = None
) -> Validation:
    """The discretized cell, and the accuracies of the supernet and of that cell on the validation split.

    The supernet is evaluated with what surrounds its edges at this progress, and without it for None.
    """
    probs = epoch.architecture.probs
    genotype = discretizer(probs, space)
    loss, accuracy = evaluate(probs) if progress is None else evaluate(probs, progress)
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
        built = [part.build(setup.supernet, setup.logits, setup.relaxation, temperature) for part in self._parts]
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
        return self._function(phase, acting)(*arguments)

    def trace(self, phase: str, acting: tuple[int, ...], *arguments) -> None:
        """Traces one of them; a call with arguments of these shapes and types does not do so again."""
        self._function(phase, acting).get_concrete_function(*arguments)

    def _function(self, phase: str, acting: tuple[int, ...]) -> Callable:
        if (phase, acting) not in self.traced:
            self.traced[phase, acting] = distributed(self._make(phase, acting))
        return self.traced[phase, acting]


def pass_info(setup: StepSetup, phase: str, moment, temperature: tf.Variable) -> PassInfo:
    """The moment of a pass, from what `moment_tensors` has given to the traced function."""
    index, progress, epoch_progress = moment
    seed = step_seed(setup.seed, index, phase)
    return PassInfo(temperature.read_value(), progress, seed, epoch_progress, setup.logits.allowed())


def moment_tensors(info: StepInfo) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Global step and both progresses, as a traced function takes them: numbers would be traced anew each time."""
    progresses = tf.constant(info.progress, tf.float32), tf.constant(info.epoch_progress, tf.float32)
    return tf.constant(info.index, tf.int64), *progresses
