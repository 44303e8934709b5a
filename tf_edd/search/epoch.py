"""One epoch of a search: its steps, what is measured after them, and the temperature of the next."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_edd.data.images import Images
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.supernet import Supernet
from tf_edd.relaxations import relaxations
from tf_edd.runtime.check_finite import check_losses, check_variables
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.strategy import replica_batches
from tf_edd.search.metrics import add_scalars, architecture_metrics
from tf_edd.steps.first_order import PHASES

READ_STEPS = 20


@dataclasses.dataclass(frozen=True)
class SearchParts:
    """The parts of a method that an epoch uses between its steps.

    Attributes:
        relaxation: logits, temperature, seed -> probabilities; None without logits.
        temperature: the schedule.
        discretizer: probabilities, space -> genotype.
        weight_rate: epoch (from 0) -> learning rate of the weights.
        arch_rate: the same of the logits; None without logits.
    """

    relaxation: Callable | None
    temperature: object
    discretizer: Callable
    weight_rate: Callable[[int], float]
    arch_rate: Callable[[int], float] | None

    def record(self) -> dict[str, str]:
        """Part -> its text. A part that is no dataclass is left out: the text of a function holds its address."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: str(part) for name, part in parts.items() if dataclasses.is_dataclass(part)}


@dataclasses.dataclass(frozen=True)
class Feed:
    """Batches of the halves that a step takes.

    Attributes:
        train: images for the weights.
        valid: images for the logits, and for evaluation.
        batch_size: images of a step and half, over all replicas.
        augmentation: of both halves in training.
        strategy: the `tf.distribute` strategy.
        phases: of the step: "weights" takes the training half, "arch" the validation half.
    """

    train: Images
    valid: Images
    batch_size: int
    augmentation: Sequence
    strategy: tf.distribute.Strategy
    phases: Sequence[str] = PHASES

    @property
    def halves(self) -> list[Images]:
        """Those that a step takes a batch of."""
        return [half for half, phase in ((self.train, "weights"), (self.valid, "arch")) if phase in self.phases]

    @property
    def steps(self) -> int:
        """Steps an epoch; the halves may differ in size."""
        return min(half.num_batches(self.batch_size) for half in self.halves)

    def batches(self, seed: int, epoch: int, skip: int, order: np.ndarray | None = None):
        """A tuple with a batch of each half, of an epoch without its first `skip` steps, as `strategy.run` takes them.

        Args:
            seed: of the search.
            epoch: from 0.
            skip: steps to leave out.
            order: positions of the training images; their batches are then (images, labels, positions).
        """
        options = {"skip": skip, "augment": self.augmentation}
        sets = [half.batches(self.batch_size, seed, epoch, **options) for half in self.halves]
        if order is not None:
            train = self.train.batches(self.batch_size, seed, epoch, **options, order=order)
            sets[0] = self._with_positions(train, order[skip * self.batch_size :])
        return zip(*(replica_batches(batches, self.strategy) for batches in sets), strict=False)

    def _with_positions(self, batches, order) -> tf.data.Dataset:
        positions = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size, drop_remainder=True)
        return tf.data.Dataset.zip(batches, positions).map(lambda batch, rows: (*batch, rows))


@dataclasses.dataclass(eq=False)
class SearchEpoch:
    """`epoch(state, progress)` brings a search one epoch on, from wherever in the epoch it stands.

    Attributes:
        supernet: the network.
        step: `tf_edd.steps.first_order.Bilevel`, or another step with its interface.
        parts: relaxation, temperature, discretizer, learning rates.
        optimizers: phase of the step ("weights", "arch") -> optimizer.
        feed: the batches.
        frozen_epochs: epochs at the start in which the logits and the temperature stay.
        entropy_at: temperature of the distribution whose entropy drives the schedule; None for the current one.
        checkpointer: where to.
        checkpoint_steps: checkpoint also after every so many steps; None for no such checkpoints.
    """

    supernet: Supernet
    step: object
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
        metrics = {**self.step.end_epoch(state, self.feed), **self._measure(state), "speed/images_per_second": speed}
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
        state.logits, state.probs = self.step.distribution(temperature)

    def _train(self, state, progress) -> None:
        self.step.temperature.assign(state.temperature)
        rates = {"weights": self.parts.weight_rate, "arch": self.parts.arch_rate}
        for phase, optimizer in self.optimizers.items():
            optimizer.learning_rate = rates[phase](state.epoch)
        phases = ("weights",) if state.epoch < self.frozen_epochs else self.step.phases
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
        order = self.step.order(state.epoch)
        for batches in self.feed.batches(state.seed, state.epoch, state.position, order):
            scalars = self.step.step(*batches, tf.constant(state.step, tf.int64), phases, state.epoch)
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
        state.genotype, accuracies = self.step.assess(state, self._accuracy, self.parts.discretizer)
        metrics.update(architecture_metrics(state))
        metrics.update(accuracies)
        check_losses(metrics, state.epoch)
        return metrics

    def _accuracy(self, probs) -> tuple[float, float]:
        """Loss and accuracy under these probabilities on the validation half."""
        return self._evaluate(probs, self.feed.valid, self.feed.batch_size, self.feed.strategy)

    def _check_variables(self, state) -> None:
        logits, _ = self.step.distribution(1.0)
        groups = {"weights": self.supernet.variables, "architecture logits": list(logits.values())}
        check_variables(groups, state.epoch)

    def _cool(self, state) -> None:
        """The temperature of the next epoch, from the entropy of this one (paper, Algorithm 2)."""
        probs = state.probs if self.entropy_at is None else self.step.distribution(self.entropy_at)[1]
        state.temperature_state, state.temperature = self.parts.temperature.update(
            state.temperature_state, state.epoch - self.frozen_epochs, float(relaxations.mean_entropy(probs))
        )


def _shown(scalars, state) -> dict[str, float]:
    shown = {"loss": float(scalars["loss/weights"]), "t": state.temperature}
    return {**shown, "entropy": state.history[-1]["arch/entropy"]} if state.history else shown
