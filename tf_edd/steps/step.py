"""The interface of a step; the plumbing that steps share is in `plumbing.py`.

A *step part* (`FirstOrder(...)`, frozen, made by gin or in Python) says which optional parts of a `Method` it takes and
builds the *step* of one search. The loop (`tf_edd.search.search`) calls nothing of a step but what `Step` declares.

Everything runs under `tf.distribute`. A replica sees its share of the global batch; its loss is the sum of its examples
divided by the global batch, and gradients are added over replicas before any norm is taken, so that clipping means the
same on one device and on eight.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.relaxations import BoundRelaxation

if TYPE_CHECKING:
    from tf_edd.data.batches import SearchBatches

Scalars = dict[str, tf.Tensor]
Tables = dict[str, np.ndarray]  # cell type -> [E, O]

# The optional parts of a `Method` that steps with architecture logits take.
LOGIT_PARTS = (
    "relaxation",
    "temperature",
    "arch_optimizer",
    "arch_rate",
    "arch_rate_cap",
    "regularizers",
    "stopper",
    "decisions",
    "warmup_epochs",
    "ticks",
    "entropy_temperature",
    "logit_init_scale",
    "edge_weights",
    "edges",
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
        epoch_progress: what `progress` was when the epoch began, for what changes from epoch to epoch.
    """

    index: int
    epoch: int = 0
    progress: float = 0.0
    temperature: float = 1.0
    phases: tuple[str, ...] = ("weights", "arch")
    epoch_progress: float = 0.0


class Architecture(NamedTuple):
    """What a step knows of the architecture between two epochs.

    Attributes:
        logits: cell type -> [E, O], and with edge weights also the tables [E] of the edges (`ArchLogits`).
        probs: cell type -> noise-free weights of the candidates [E, O].
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

    @property
    def progress(self) -> float:
        """The share of the search that is done, from 0 to 1."""
        return (self.epoch + 1) / self.epochs


class Validation(NamedTuple):
    """The outcome of an epoch.

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

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        """Makes the functions with which `__call__` will take such a step; changes no variable and takes no step.

        Called before anything is written, so that what the parts refuse only inside a step refuses the search. A
        traced function is kept: the first step must not trace it anew.
        """

    def architecture(self, temperature: float) -> Architecture:
        """The logits of now, and the noise-free weights of the candidates at this temperature."""

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        """The cell of an epoch, and its accuracies on the validation split.

        Args:
            epoch: the epoch, with its `architecture`.
            evaluate: weights (cell type -> [E, O]) -> (loss, accuracy) of the supernet on the validation split. A
                second argument, the progress, evaluates it with what surrounds its edges then.
            discretizer: weights, space -> genotype.
        """

    def image_order(self, epoch: int) -> np.ndarray | None:
        """Positions of the training images in the order of an epoch (from 0); None for a random order of all.

        There are as many as the epoch takes, see `StepSetup.ordered_images`.
        """

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
        ordered_images: positions that `Step.image_order` gives an epoch; None for as many as there are images.
    """

    supernet: Supernet
    logits: ArchLogits
    method: Any
    train_images: int = 0
    xla: bool = False
    seed: int = 0
    ordered_images: int | None = None

    @property
    def relaxation(self) -> BoundRelaxation:
        """Of the method, with its edge weights."""
        weights = self.method.edge_weights
        return BoundRelaxation(self.method.relaxation, weights, self.supernet.space if weights else None)


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
