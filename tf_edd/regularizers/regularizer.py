"""The interface of regularizers, and what they see of a step."""

import abc
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.networks.moment import Moment
from tf_edd.networks.unused import Unused

PHASES = ("weights", "arch")


@dataclasses.dataclass(frozen=True)
class StepContext:
    """What a regularizer sees of a step on one replica.

    Attributes:
        phase: "weights" or "arch".
        images: [b, H, W, channels], this replica's share of the batch.
        labels: [b].
        logits: Cell type -> architecture logits [E, O] of the candidates.
        probs: Cell type -> weights of the candidates [E, O].
        outputs: The supernet's logits [b, classes].
        supernet: The network.
        temperature: Scalar.
        seed: int32 [2], the same on all replicas.
        unused: Which candidates a forward pass that needs no gradient may leave out, None for none.
        state: What `Term.tensors` has read.
        progress: The share of the search that is done, a scalar from 0 to 1.
        fixed_weights: Whether the gradient of the supernet's weights is not needed, so that edges may leave it out.
        moment: For the call of the supernet, where the method has `edges`; else None.
        single_path: Whether each row of `probs` is a single 1 among zeros, so that an edge runs that candidate alone.
        allowed: Cell type -> which candidates are allowed, [E, O] float32 (`tf_edd.architectures.mask`), as `probs` has
            them already; None for all of them.
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
    unused: Unused | None = None
    state: Any = None
    progress: tf.Tensor | float = 0.0
    fixed_weights: bool = False
    moment: Moment | None = None
    single_path: bool = False
    allowed: Mapping[str, tf.Tensor] | None = None


class Term(abc.ABC):
    """A term of the loss in one search."""

    variables: Sequence[tf.Variable] = ()
    """Its state, for the checkpoint."""

    def begin_step(self, index: int, epoch: int) -> None:
        """Called before each step, outside the traced functions, in all epochs.

        Args:
            index: The global step, from 0.
            epoch: The epoch, from 0.
        """
        return None

    def tensors(self) -> Any:
        """Reads the state: a nested structure of tensors, for `StepContext.state`.

        Called in the traced function, before the forward pass, which XLA may compile: compiled code cannot read
        variables that lie in the memory of the host.
        """
        return None

    @abc.abstractmethod
    def __call__(self, context: StepContext) -> tf.Tensor:
        """The term, a float32 scalar: the mean over the examples of this replica. Called while a step is traced."""


class Regularizer(Term):
    """The description of a term: a frozen dataclass that gin or a person makes.

    One without a state overrides `__call__`; it is the term of every search. One with a state overrides `build`.
    """

    phases: Sequence[str] = PHASES
    """In whose loss it is, of `PHASES`."""

    def active(self, epoch: int) -> bool:
        """Whether it acts in this epoch (from 0). The traced functions of other epochs do not contain it."""
        return True

    def build(self, supernet, logits, relaxation, temperature: tf.Variable) -> Term:
        """The term of one search; called once, under the strategy in scope.

        Args:
            supernet: The network, built.
            logits: The architecture logits (`tf_edd.architectures.logits.ArchLogits`).
            relaxation: The relaxation of the method and its edge weights (`tf_edd.relaxations.BoundRelaxation`):
                logits, temperature -> weights of the candidates.
            temperature: The variable that feeds the temperature.
        """
        return self

    def __call__(self, context: StepContext) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} has neither a __call__ nor a build of its own")


def check_active(regularizers: Sequence[Regularizer], epochs: int) -> None:
    """Raises UserError for a regularizer that acts in none of the epochs."""
    for regularizer in regularizers:
        if not any(map(regularizer.active, range(epochs))):
            raise UserError(
                f"{type(regularizer).__name__} acts in none of the {epochs} epochs of this search: {regularizer}"
            )


def check_phases(phases: Collection[str]) -> None:
    """Raises UserError unless `phases` has one or both of `PHASES`."""
    listed = isinstance(phases, Collection) and not isinstance(phases, str)
    if not listed or not phases or any(phase not in PHASES for phase in phases):
        raise UserError(f"phases must be a list of 'weights', 'arch' or both. Received: phases={phases!r}")
