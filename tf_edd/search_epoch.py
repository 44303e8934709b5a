"""One epoch of a search: its steps, what is measured after them, and the temperature of the next."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_edd import relaxations
from tf_edd.arch_logits import ArchLogits
from tf_edd.bilevel import PHASES, Bilevel
from tf_edd.data.images import Images
from tf_edd.finite import check_losses, check_variables
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.strategy import replica_batches
from tf_edd.search_metrics import accuracies, add_scalars, architecture_metrics
from tf_edd.supernet_evaluation import SupernetEvaluator

READ_STEPS = 20


@dataclasses.dataclass(frozen=True)
class SearchParts:
    """The parts of a method that an epoch uses between its steps.

    Attributes:
        relaxation: logits, temperature, seed -> probabilities.
        temperature: the schedule.
        discretizer: probabilities, space -> genotype.
        weight_rate: epoch (from 0) -> learning rate of the weights.
        arch_rate: the same of the logits.
    """

    relaxation: Callable
    temperature: object
    discretizer: Callable
    weight_rate: Callable[[int], float]
    arch_rate: Callable[[int], float]

    def record(self) -> dict[str, str]:
        """Part -> its text. A part that is no dataclass is left out: the text of a function holds its address."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: str(part) for name, part in parts.items() if dataclasses.is_dataclass(part)}


@dataclasses.dataclass(frozen=True)
class Feed:
    """Pairs of a training and a validation batch.

    Attributes:
        train: images for the weights.
        valid: images for the logits.
        batch_size: images of a step and half, over all replicas.
        augmentation: of both halves in training.
        strategy: the `tf.distribute` strategy.
    """

    train: Images
    valid: Images
    batch_size: int
    augmentation: Sequence
    strategy: tf.distribute.Strategy

    @property
    def steps(self) -> int:
        """Pairs an epoch; the halves may differ in size."""
        return min(half.num_batches(self.batch_size) for half in (self.train, self.valid))

    def pairs(self, seed: int, epoch: int, skip: int):
        """The pairs of an epoch without its first `skip` ones, as `strategy.run` takes them."""
        both = [
            half.batches(self.batch_size, seed, epoch, skip=skip, augment=self.augmentation)
            for half in (self.train, self.valid)
        ]
        return zip(*(replica_batches(half, self.strategy) for half in both), strict=False)


@dataclasses.dataclass(eq=False)
class SearchEpoch:
    """`epoch(state, progress)` brings a search one epoch on, from wherever in the epoch it stands.

    Attributes:
        supernet: the network.
        logits: the architecture logits.
        step: the bilevel step.
        parts: relaxation, temperature, discretizer, learning rates.
        optimizers: phase ("weights", "arch") -> optimizer.
        feed: the batches.
        frozen_epochs: epochs at the start in which the logits and the temperature stay.
        entropy_at: temperature of the distribution whose entropy drives the schedule; None for the current one.
        checkpointer: where to.
        checkpoint_steps: checkpoint also after every so many steps; None for no such checkpoints.
    """

    supernet: Supernet
    logits: ArchLogits
    step: Bilevel
    parts: SearchParts
    optimizers: Mapping
    feed: Feed
    frozen_epochs: int
    entropy_at: float | None
    checkpointer: Checkpointer
    checkpoint_steps: int | None

    def __post_init__(self):
        self._evaluate = SupernetEvaluator(self.supernet)

    def __call__(self, state, progress) -> dict[str, float]:
        """Trains, measures, moves the temperature on and files the metrics, tag -> value, in `state.history`."""
        began = time.perf_counter()
        self._train(state, progress)
        speed = progress.images_per_second
        metrics = {**self._measure(state), "speed/images_per_second": speed}
        state.epoch, state.position, state.sums = state.epoch + 1, 0, {}
        if state.epoch > self.frozen_epochs:
            self._cool(state)
        metrics.update({f"arch/{name}": value for name, value in state.temperature_state.items()})
        state.seconds += time.perf_counter() - began
        metrics["speed/seconds"] = state.seconds
        state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
        return metrics

    def take_logits(self, state, temperature) -> None:
        """Puts the logits of now, and their probabilities at this temperature, into the state."""
        state.logits = self.logits.numpy()
        state.probs = self._probs(state, temperature)

    def _train(self, state, progress) -> None:
        self.step.temperature.assign(state.temperature)
        self.optimizers["weights"].learning_rate = self.parts.weight_rate(state.epoch)
        self.optimizers["arch"].learning_rate = self.parts.arch_rate(state.epoch)
        phases = ("weights",) if state.epoch < self.frozen_epochs else PHASES
        for scalars, last in self._steps(phases, state):
            progress.step(self.feed.batch_size, lambda now=scalars: _shown(now, state))
            if self.checkpoint_steps and state.position % self.checkpoint_steps == 0 and not last:
                self._check_variables(state)
                self.checkpointer.save(state.step)

    def _steps(self, phases, state):
        """Takes a step on each pair of batches that is left; yields its scalars and whether it was the last.

        They are read and added up in `state.sums` now and then: reading makes the program wait for the device.
        """
        pending = []
        for train_batch, valid_batch in self.feed.pairs(state.seed, state.epoch, state.position):
            scalars = self.step.step(train_batch, valid_batch, tf.constant(state.step, tf.int64), phases, state.epoch)
            pending.append(scalars)
            state.step, state.position = state.step + 1, state.position + 1
            if state.position % (self.checkpoint_steps or READ_STEPS) == 0:
                add_scalars(pending, state)
            yield scalars, state.position == self.feed.steps
        add_scalars(pending, state)

    def _measure(self, state) -> dict[str, float]:
        metrics = {tag: total / state.position for tag, total in state.sums.items()}
        self.take_logits(state, state.temperature)
        self._check_variables(state)
        state.genotype = self.parts.discretizer(state.probs, state.space)
        metrics.update(architecture_metrics(state))
        metrics.update(accuracies(self._evaluate, state, self.feed))
        check_losses(metrics, state.epoch)
        return metrics

    def _check_variables(self, state) -> None:
        groups = {"weights": self.supernet.variables, "architecture logits": self.logits.variables}
        check_variables(groups, state.epoch)

    def _cool(self, state) -> None:
        """The temperature of the next epoch, from the entropy of this one (paper, Algorithm 2)."""
        probs = state.probs if self.entropy_at is None else self._probs(state, self.entropy_at)
        state.temperature_state, state.temperature = self.parts.temperature.update(
            state.temperature_state, state.epoch - self.frozen_epochs, float(relaxations.mean_entropy(probs))
        )

    def _probs(self, state, temperature) -> dict[str, np.ndarray]:
        """The noise-free training distribution of the epoch's last logits at this temperature."""
        return {kind: self.parts.relaxation.mean(value, temperature).numpy() for kind, value in state.logits.items()}


def _shown(scalars, state) -> dict[str, float]:
    shown = {"loss": float(scalars["loss/weights"]), "t": state.temperature}
    return {**shown, "entropy": state.history[-1]["arch/entropy"]} if state.history else shown
