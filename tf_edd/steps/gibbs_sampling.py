"""Gibbs sampling of weights and architecture, as the abstract of GibbsNAS can be read."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_edd.errors import require_positive, require_share
from tf_edd.optimizers.gradients import Clipped, apply_clipped, reduce_and_clip, share_of_accuracy, share_of_mean
from tf_edd.part import part
from tf_edd.runtime.seeds import step_seed
from tf_edd.samplers.state import state_variable
from tf_edd.steps.candidate_variables import CandidateVariables, check_selective
from tf_edd.steps.plumbing import distributed, summed
from tf_edd.steps.step import Architecture, Batch, EpochInfo, StepInfo, StepSetup, Validation

PHASES = ("weights", "arch")
ZERO = tf.UnconnectedGradients.ZERO


@part(module="tf_edd.steps")
class GibbsSampling:
    """Draws weights and architecture in turn from their posterior distribution.

        w' = w - eta grad L_train(w, a) + sqrt(2 eta T / N) xi,   xi ~ N(0, I)        (stochastic gradient Langevin)
        a_e ~ Cat(softmax_o(-n L_valid(w, a with o on edge e)))                       (one edge after the other)

    The architecture a is one cell, with one operation on each edge; only its operations are run, and the others rest.
    In each step one edge is drawn anew, from the losses of all its candidates on a batch of the validation split. The
    frequencies of the draws stand for the posterior: the genotype is their argmax.

    **A reading.** Neither the paper nor code was at hand; the abstract names Gibbs sampling from the posterior of
    weights and architecture, and no recipe. Everything else here is a choice.

    Attributes:
        weight_gradient_clip: Largest global norm of the gradient, None for no limit; the noise comes after it.
        langevin_temperature: T; 0.0 for plain gradient descent. An optimizer with momentum m makes the temperature
            1 / (1 - m) times as large.
        evidence: n, the images for which a validation batch stands; None for as many as it has.
        forgetting: Share of the earlier draws that an epoch leaves in the frequencies, in [0, 1]; 1.0 keeps all.

    Raises:
        UserError: A value out of range; from `build`, an optimizer that cannot leave variables alone, moving averages,
            or rematerialized edges.

    Source: Xue et al., "Rethinking Bi-level Optimization in Neural Architecture Search: A Gibbs Sampling Perspective",
    AAAI 2021, the abstract; Welling and Teh, "Bayesian Learning via Stochastic Gradient Langevin Dynamics", ICML 2011,
    Eq. 4.
    """

    weight_gradient_clip: float | None = 5.0
    langevin_temperature: float = 1.0
    evidence: float | None = None
    forgetting: float = 0.5

    phases: ClassVar[tuple[str, ...]] = PHASES
    takes: ClassVar[tuple[str, ...]] = ()
    learns_logits: ClassVar[bool] = False

    def __post_init__(self):
        if self.weight_gradient_clip is not None:
            require_positive(" or None", weight_gradient_clip=self.weight_gradient_clip)
        if self.langevin_temperature != 0:
            require_positive(" or 0", langevin_temperature=self.langevin_temperature)
        if self.evidence is not None:
            require_positive(" or None", evidence=self.evidence)
        require_share(forgetting=self.forgetting)

    def check(self, space, batches) -> None:
        """Takes every space and all images."""

    def build(self, setup: StepSetup) -> "GibbsStep":
        """The step of one search; there are no logits to move."""
        return GibbsStep(self, setup)


class GibbsStep:
    """The `Step` that `GibbsSampling` builds."""

    phases = PHASES

    def __init__(self, part: GibbsSampling, setup: StepSetup):
        self._part, self._supernet, self._seed = part, setup.supernet, setup.seed
        self._optimizer, self._images = setup.method.weight_optimizer, setup.train_images
        self._trained = setup.supernet.trainable_variables
        check_selective("Gibbs draws", self._supernet, self._optimizer)
        self._optimizer.build(self._trained)
        self._candidates = CandidateVariables(self._supernet)
        shapes = self._supernet.space.logit_shapes
        first = _first_cell(shapes, setup.seed)
        self._cell = {name: state_variable(table, f"gibbs_cell_{name}") for name, table in first.items()}
        counts = {name: np.full(shape, 1 / shape[1]) for name, shape in shapes.items()}  # a prior draw
        self._counts = {name: state_variable(table, f"gibbs_counts_{name}") for name, table in counts.items()}
        self._starts, self._widths = _places(shapes)
        self.functions = {"weights": distributed(self._weights), "arch": distributed(self._arch)}

    @property
    def variables(self) -> dict[str, list]:
        """The cell of now, and how often each candidate was drawn."""
        return {"gibbs_cell": list(self._cell.values()), "gibbs_counts": list(self._counts.values())}

    def __call__(self, batches: Mapping[str, Batch], info: StepInfo) -> dict[str, tf.Tensor]:
        scalars = {}
        for phase in (phase for phase in PHASES if phase in info.phases):
            scalars |= self.functions[phase](*self._arguments(phase, batches, info))
        return scalars

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        for phase in (phase for phase in PHASES if phase in info.phases):
            self.functions[phase].get_concrete_function(*self._arguments(phase, batches, info))

    def _arguments(self, phase, batches, info):
        batch = Batch(*batches[phase])
        return batch.images, batch.labels, tf.constant(info.index, tf.int64)

    def architecture(self, temperature: float) -> Architecture:
        """Logarithms of the frequencies, and the frequencies."""
        tables = {name: counts.numpy() for name, counts in self._counts.items()}
        probs = {name: (table / table.sum(axis=1, keepdims=True)).astype(np.float32) for name, table in tables.items()}
        return Architecture({name: np.log(np.maximum(table, 1e-30)) for name, table in probs.items()}, probs)

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        """The most frequent cell, and beside its accuracy that of the cell of now, on the validation split."""
        genotype = discretizer(epoch.architecture.probs, self._supernet.space)
        loss, accuracy = evaluate({name: cell.numpy() for name, cell in self._cell.items()})
        _, discretized = evaluate(genotype.one_hot(self._supernet.space))
        metrics = {"loss/valid": loss, "accuracy/valid": accuracy, "accuracy/discretized": discretized}
        return Validation(genotype, metrics)

    def image_order(self, epoch: int) -> None:
        return None

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        """Lets earlier draws fade."""
        for counts in self._counts.values():
            counts.assign(self._part.forgetting * counts + (1 - self._part.forgetting) / counts.shape[1])
        return {}

    def _now(self) -> dict[str, tf.Tensor]:
        return {name: cell.read_value() for name, cell in self._cell.items()}

    def _weights(self, images, labels, index):
        """A Langevin step of the weights that the cell of now uses."""
        cell = self._now()
        variables = [variable.value for variable in self._trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self._supernet(images, cell, training=True, single_path=True)
            loss = share_of_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))
            scaled = self._optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables, unconnected_gradients=ZERO)
        clipped = reduce_and_clip(self._optimizer, gradients, self._part.weight_gradient_clip)
        if self._part.langevin_temperature:
            clipped = clipped._replace(gradients=self._with_noise(clipped, index))
        apply_clipped(self._optimizer, clipped, self._trained, self._candidates.flags(cell))
        share = clipped.norm / tf.distribute.get_replica_context().num_replicas_in_sync
        accuracy = share_of_accuracy(labels, outputs)
        return {"loss/weights": loss, "accuracy/train": accuracy, "weights/gradient_norm": share}

    def _with_noise(self, clipped: Clipped, index) -> list[tf.Tensor]:
        """The gradients with the noise that makes a step of rate eta one of Langevin dynamics."""
        context = tf.distribute.get_replica_context()
        rate = tf.cast(self._optimizer.learning_rate, tf.float32)
        variance = 2 * self._part.langevin_temperature / (self._images * tf.maximum(rate, 1e-12))
        scale = tf.cast(self._optimizer.scale_loss(1.0), tf.float32) / context.num_replicas_in_sync
        seed = step_seed(self._seed, index, "langevin")
        noisy = []
        for number, gradient in enumerate(clipped.gradients):
            noise = tf.random.stateless_normal(tf.shape(gradient), tf.random.fold_in(seed, number))
            noisy.append(gradient + tf.cast(scale * tf.sqrt(variance) * noise, gradient.dtype))
        return noisy

    def _arch(self, images, labels, index):
        """Draws one edge anew from the losses of its candidates."""
        cell, replicas = self._now(), tf.distribute.get_replica_context().num_replicas_in_sync
        place = tf.cast(index % len(self._widths), tf.int32)

        def loss(candidate):
            path = self._with_candidate(cell, place, candidate)
            outputs = self._supernet(images, path, training=False, single_path=True)
            return share_of_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))

        largest = max(self._widths)
        if replicas == 1:  # one trace for all candidates; replicas cannot meet inside a loop
            losses = tf.map_fn(loss, tf.range(largest), fn_output_signature=tf.float32)
        else:
            losses = tf.stack([loss(tf.constant(candidate)) for candidate in range(largest)])
        (losses,) = summed([losses])
        evidence = self._part.evidence or tf.cast(tf.size(labels) * replicas, tf.float32)
        there = tf.range(largest) < tf.gather(self._widths, place)
        scores = tf.where(there, -evidence * losses, -np.inf)
        drawn = tf.random.stateless_categorical(scores[None], 1, step_seed(self._seed, index, "gibbs"), tf.int32)[0, 0]
        new, changed = self._with_candidate(cell, place, drawn), 0.0
        for name, table in new.items():
            changed += tf.reduce_sum(tf.abs(table - cell[name])) / 2
            self._cell[name].assign(table)
            self._counts[name].assign_add(table)
        return {"loss/arch": losses[drawn] / replicas, "arch/changed_edges": changed / replicas}

    def _with_candidate(self, cell, place, candidate) -> dict[str, tf.Tensor]:
        """The cell with this candidate on the edge at this place among all edges of all types."""
        tables = {}
        for name, table in cell.items():
            edges, count = table.shape
            there = tf.one_hot(place - self._starts[name], edges)[:, None]  # zeros for an edge of another type
            tables[name] = there * tf.one_hot(candidate, count) + (1 - there) * table
        return tables


def _places(shapes) -> tuple[dict[str, int], list[int]]:
    """Cell type -> the place of its first edge among all edges, and the number of candidates at each place."""
    starts, widths = {}, []
    for name, (edges, count) in shapes.items():
        starts[name] = len(widths)
        widths += [count] * edges
    return starts, widths


def _first_cell(shapes, seed: int) -> dict[str, np.ndarray]:
    """A random cell, one-hot [E, O] of each type."""
    draw = np.random.default_rng(np.random.SeedSequence([seed, 0x61]))
    return {
        name: np.eye(count, dtype=np.float32)[draw.integers(count, size=edges)]
        for name, (edges, count) in shapes.items()
    }
