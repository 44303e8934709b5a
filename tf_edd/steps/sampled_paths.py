"""The step of a one-shot supernet: its weights alone, a path or a few of them at a time.

A path reaches the supernet as probabilities that are one-hot, by the door of all mixtures, and the candidates that it
leaves out are not run, inside one traced function: no new trace for a new path. Candidates that no path of the step
uses get neither gradient nor momentum nor weight decay, unless `SampledPaths.rest_unused` is False.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_edd.analysis.gradient_variance import variance
from tf_edd.errors import UserError, require_count, require_positive
from tf_edd.optimizers.gradients import apply_clipped, reduce_and_clip, share_of_accuracy, share_of_mean
from tf_edd.part import part
from tf_edd.runtime.seeds import step_seed
from tf_edd.runtime.tracing import no_collection
from tf_edd.samplers import ImageSampler, PathSampler, RunningPathSampler, draw_path, uniform
from tf_edd.steps.candidate_variables import CandidateVariables, Moving, check_selective
from tf_edd.steps.drawn_images import check_images, check_running, error_norms
from tf_edd.steps.plumbing import distributed
from tf_edd.steps.step import Architecture, Batch, EpochInfo, StepInfo, StepSetup, Validation

_ZERO = tf.UnconnectedGradients.ZERO


@part(module="tf_edd.steps")
class SampledPaths:
    """Trains the supernet's weights on sampled paths (SPOS, FairNAS, PA&DA).

    Attributes:
        paths: Draws the paths of a step: `UniformPaths`, `FairPaths` or `ImportancePaths`.
        images: Gives the order of the training images: `UniformImages` or `ImportanceImages`.
        weight_gradient_clip: Largest global norm of the gradient (with several paths of their sum), None for no limit.
        num_validated_paths: Cells, drawn uniformly, whose mean accuracy after each epoch stands for the supernet's; the
            best of them is the epoch's genotype.
        variance_draws: Gradients on paths and batches of the next epoch whose variance is measured after each epoch;
            0 for no measurement. Importance sampling takes three times as many, see `PathTraining.end_epoch`.
        rest_unused: Whether a candidate that no path of a step uses rests in it, with momentum and weight decay, as in
            the ImageNet code of SPOS. With False momentum and weight decay move every candidate that any earlier step
            has used: the released code of PA&DA ran on PyTorch 1.7.1, whose `zero_grad` leaves gradients of 0.

    Raises:
        UserError: A clip that is not positive, no cell to validate, or one draw.
    """

    paths: PathSampler
    images: ImageSampler
    weight_gradient_clip: float | None = 5.0
    num_validated_paths: int = 4
    variance_draws: int = 10
    rest_unused: bool = True

    phases: ClassVar[tuple[str, ...]] = ("weights",)
    takes: ClassVar[tuple[str, ...]] = ()
    learns_logits: ClassVar[bool] = False

    def __post_init__(self):
        if self.weight_gradient_clip is not None:
            require_positive(" or None", weight_gradient_clip=self.weight_gradient_clip)
        require_count(1, num_validated_paths=self.num_validated_paths)
        if self.variance_draws != 0:
            require_count(2, " or 0", variance_draws=self.variance_draws)

    def check(self, space, batches) -> None:
        """Refuses samplers that do not fit the space, and data that do not fit the samplers."""
        check_running("SampledPaths.paths", self.paths.build(space), RunningPathSampler)
        if batches.steps < self.variance_draws:
            raise UserError(
                f"variance_draws must be at most the {batches.steps} batches of an epoch. Received: "
                f"variance_draws={self.variance_draws}"
            )
        check_images("SampledPaths.images", self.images, batches)

    def build(self, setup: StepSetup) -> "PathTraining":
        """The step of one search; there are no logits to move."""
        return PathTraining(self, setup)


class PathTraining:
    """The `Step` that `SampledPaths` builds.

    Raises:
        UserError: An optimizer that cannot leave variables alone, or moving averages with several replicas.
    """

    phases = SampledPaths.phases

    def __init__(self, part: SampledPaths, setup: StepSetup):
        supernet, optimizer = setup.supernet, setup.method.weight_optimizer
        check_selective("Sampled paths", supernet, optimizer)
        self._supernet, self._optimizer, self._seed = supernet, optimizer, setup.seed
        self._part, self._ordered_images = part, setup.ordered_images
        self._strategy = tf.distribute.get_strategy()
        self._variables = supernet.trainable_variables
        optimizer.build(self._variables)
        self._paths = part.paths.build(supernet.space)
        self._images = part.images.build(setup.train_images)
        self._candidates = CandidateVariables(supernet)
        self._moving = Moving(supernet.space, part.rest_unused)
        if self._strategy.num_replicas_in_sync > 1:
            self._pass = self._one_pass  # replicas cannot meet inside a function
        else:
            self._pass = tf.function(self._one_pass, autograph=False, jit_compile=setup.xla)
        self.function = distributed(self._replica_step)
        self._gradients = {
            scheme: tf.function(functools.partial(self._drawn_gradients, scheme), autograph=False)
            for scheme in ("as trained", "weighted", "uniform")
        }

    @property
    def variables(self) -> dict[str, list]:
        """Name -> variables of the samplers, and of what moves if unused candidates do not rest."""
        moving = {"moving": self._moving.variables} if self._moving.variables else {}
        return {"paths": self._paths.variables, "images": self._images.variables, **moving}

    def image_order(self, epoch: int) -> np.ndarray | None:
        return self._images.order(self._seed, epoch, self._ordered_images)

    def __call__(self, batches: Mapping[str, Batch], info: StepInfo) -> dict[str, tf.Tensor]:
        return self.function(*Batch(*batches["weights"]), tf.constant(info.index, tf.int64))

    def trace(self, batches: Mapping[str, Batch], info: StepInfo) -> None:
        self.function.get_concrete_function(*Batch(*batches["weights"]), tf.constant(info.index, tf.int64))

    def end_epoch(self, epoch: EpochInfo) -> dict[str, float]:
        """Takes the epoch's statistics into the samplers, and measures the variance of the gradient that follows.

        Returns:
            gradient/variance, the trace of the covariance over paths and batches of the gradient that trains (with
            several paths a step, of their mean), gradient/squared_mean, the squared norm of its mean (an estimate that
            can fall below 0), and gradient/relative_variance, their quotient, where the draws suffice for it.
            With importance sampling also, at the same weights, gradient/variance_uniform (of uniform paths and images),
            and gradient/variance_weighted (with importance weights, the quantity that PA&DA minimizes) as long as
            gradient/weight_second_moment, the factor by which the weights of the paths raise it, is not above the
            number of draws, which could not show it.
        """
        for sampler in (self._paths, self._images):
            sampler.end_epoch(epoch.epoch + 1, epoch.epochs)
        draws = self._part.variance_draws
        if not draws:
            return {}
        averages = [(variable, variable.numpy()) for variable in self._supernet.non_trainable_variables]
        result = self._variance(epoch, "as trained")
        if self.variables["paths"] or self.variables["images"]:
            moment = self._paths.second_moment()
            result["weight_second_moment"] = moment
            for scheme in ("uniform", "weighted") if moment <= draws else ("uniform",):
                result[f"variance_{scheme}"] = self._variance(epoch, scheme)["variance"]
        for variable, value in averages:  # measuring leaves no trace
            variable.assign(value)
        return {f"gradient/{name}": value for name, value in result.items() if math.isfinite(value)}

    def _variance(self, epoch: EpochInfo, scheme: str) -> dict[str, float]:
        """See `variance`, of gradients on the first batches of the next epoch."""
        order = None if scheme == "uniform" else self.image_order(epoch.epoch + 1)
        batches = epoch.batches.epoch(epoch.seed, epoch.epoch + 1, 0, order)
        return variance(
            self._gradients[scheme](*Batch(*batch["weights"]), tf.constant(epoch.step + number, tf.int64))
            for number, batch in enumerate(itertools.islice(batches, self._part.variance_draws))
        )

    def architecture(self, temperature: float) -> Architecture:
        """Logarithms and probabilities of the paths' candidates."""
        probs = self._paths.distribution()
        return Architecture({cell_type: np.log(np.maximum(table, 1e-30)) for cell_type, table in probs.items()}, probs)

    def validate(self, epoch: EpochInfo, evaluate: Callable, discretizer: Callable) -> Validation:
        """The best of some uniformly drawn cells on the validation split, and the mean accuracy of all of them."""
        space, cells, losses, hits = self._supernet.space, [], [], []
        for number in range(self._part.num_validated_paths):
            seed = step_seed(self._seed, epoch.epoch * self._part.num_validated_paths + number, "assess")
            path = draw_path(space, uniform(space), seed)
            cells.append(discretizer({cell_type: table.numpy() for cell_type, table in path.items()}, space))
            loss, accuracy = evaluate(cells[-1].one_hot(space))
            losses.append(loss)
            hits.append(accuracy)
        best = int(np.argmax(hits))
        means = {"loss/valid": float(np.mean(losses)), "accuracy/valid": float(np.mean(hits))}
        return Validation(cells[best], {**means, "accuracy/discretized": hits[best]})

    def _replica_step(self, images, labels, rows, index):
        paths = self._paths.sample(step_seed(self._seed, index, "path"))
        losses, hits, values, gradients = self._passes(images, labels, rows, paths)
        clipped = reduce_and_clip(self._optimizer, gradients, self._part.weight_gradient_clip)
        union = {cell_type: tf.add_n([path[cell_type] for path in paths]) for cell_type in paths[0]}
        moved = self._candidates.flags(self._moving.after(union))
        apply_clipped(self._optimizer, clipped, self._variables, moved)
        norms = clipped.norms
        if self._paths.importance_weights:  # p is to follow the gradient, not the gradient over p
            norms = norms / self._paths.ratio(paths[0])
        taken = tf.cast(clipped.norm > 0, tf.float32)  # a step that loss scaling skips tells nothing
        used = {cell_type: taken * table for cell_type, table in union.items()}
        self._paths.record(used, self._candidates.norms(norms))
        if rows is not None:
            self._images.record(rows, values)
        share = clipped.norm / self._strategy.num_replicas_in_sync
        return {"loss/weights": losses, "accuracy/train": hits, "weights/gradient_norm": share}

    def _passes(self, images, labels, rows, paths):
        """Loss and accuracy, the mean over the paths; each image's norm; and the sum of the gradients."""
        weighted = self._paths.importance_weights, self._images.importance_weights
        results = [
            self._pass(
                images,
                labels,
                path,
                self._weights(path if weighted[0] else None, rows if weighted[1] else None, labels),
            )
            for path in paths
        ]
        losses, hits, values, gradients = zip(*results, strict=True)
        count = len(paths)
        gradients = gradients[0] if count == 1 else [tf.add_n(each) for each in zip(*gradients, strict=True)]
        return tf.add_n(losses) / count, tf.add_n(hits) / count, tf.add_n(values) / count, gradients

    def _weights(self, path, rows, labels):
        """The importance weight of each image, [b], by those of path and rows that are given."""
        factors = [
            None if path is None else self._paths.ratio(path),
            None if rows is None else self._images.ratios(rows),
        ]
        weights = tf.ones([tf.size(labels)])
        for factor in factors:
            weights = weights if factor is None else weights * factor
        return weights

    def _one_pass(self, images, labels, path, weights):
        """Shares of the loss and of the accuracy, ||softmax(outputs) - one-hot label|| of each image, gradients."""
        variables = [variable.value for variable in self._variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self._supernet(images, path, training=True, single_path=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
            scaled = self._optimizer.scale_loss(share_of_mean(weights * losses))
        gradients = tape.gradient(scaled, variables, unconnected_gradients=_ZERO)
        return share_of_mean(losses), share_of_accuracy(labels, outputs), error_norms(labels, outputs), gradients

    def _drawn_gradients(self, scheme, images, labels, rows, index):
        """A gradient, and the weight of its squared norm.

        Paths from p with their importance weights w have E_p norm(w g)^2 = E_uniform w norm(g)^2: uniform paths, which
        the weights do not hide, tell it with far fewer draws.
        """
        with no_collection():
            found = self._strategy.run(self._replica_gradients, args=(scheme, images, labels, rows, index))
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], found)

    def _replica_gradients(self, scheme, images, labels, rows, index):
        seed = step_seed(self._seed, index, "variance")
        space, weight = self._supernet.space, tf.ones([])
        if scheme == "as trained":
            paths = self._paths.sample(seed)
            gradients, count = self._passes(images, labels, rows, paths)[3], len(paths)
        else:
            path, count = draw_path(space, uniform(space), seed), 1
            if weighted := scheme == "weighted":
                ratio = self._paths.ratio(path)
                weight = weight if ratio is None else ratio
            gradients = self._pass(images, labels, path, self._weights(None, rows if weighted else None, labels))[3]
        scale = count * tf.cast(self._optimizer.scale_loss(1.0), tf.float32)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        return [tf.cast(gradient, tf.float32) / scale for gradient in gradients], weight
