"""Weights of the candidates that are perturbed while the weights of the network learn (SDARTS)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import tensorflow as tf

from tf_edd.architectures.mask import masked
from tf_edd.errors import require_count, require_positive
from tf_edd.networks.moment import Moment
from tf_edd.optimizers.gradients import share_of_mean
from tf_edd.part import part
from tf_edd.steps.plumbing import PassInfo, Scalars, summed, with_weights
from tf_edd.steps.step import Batch, StepSetup

Rows = dict[str, tf.Tensor]  # cell type -> [E, O], rows that sum to 1
ZERO = tf.UnconnectedGradients.ZERO
RADIUS, SIZE, GAIN = "arch/perturbation_radius", "arch/perturbation", "arch/perturbation_gain"


class Perturbation(Protocol):
    """What the weights of the candidates become in the weight pass; the logits know nothing of it."""

    initial_radius: float
    final_radius: float

    def __call__(self, rows: Rows, radius: tf.Tensor, seed: tf.Tensor, loss: "BatchLoss") -> tuple[Rows, Scalars]:
        """The perturbed rows, and metrics, equal on all replicas. Called while a step is traced.

        Args:
            rows: cell type -> [E, O] float32, rows that sum to 1.
            radius: scalar, the largest change of a weight.
            seed: int32 [2], equal on all replicas.
            loss: of the training batch.
        """


@part(module="tf_edd.steps")
class RandomSmoothing:
    """Random smoothing, SDARTS-RS: the weights learn at p~ = clip(p + U(-epsilon, epsilon)) in place of p.

        epsilon = initial_radius + (final_radius - initial_radius) e / E        in epoch e = 0, 1, ... of E

    clip: to [0, 1], each row then divided by its sum; of a row without a positive entry its largest entry is 1.
    Rows that do not sum to 1 are divided by their sums before and multiplied with them after.

    Attributes:
        initial_radius: epsilon in the first epoch, in units of the weights of the candidates.
        final_radius: epsilon towards which it moves; equal to `initial_radius` for a constant one.

    Raises:
        UserError: A radius that is not positive.

    Source: Chen and Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based Regularization", ICML
    2020, arXiv 2002.05283; released code, xiangning-chen/SmoothDARTS, `attacker/perturb.py`, `Random_alpha`.
    """

    initial_radius: float = 0.03
    final_radius: float = 0.3

    def __post_init__(self):
        _check_radii(self)

    def __call__(self, rows: Rows, radius, seed, loss) -> tuple[Rows, Scalars]:
        return _shaken(rows, radius, seed), {}


@part(module="tf_edd.steps")
class AdversarialSmoothing:
    """Adversarial smoothing, SDARTS-ADV: the weights learn at the p~ within epsilon of p that raises their loss.

        p~ <- clip(p + U(-epsilon, epsilon)), then `steps` times
        p~ <- clip(p + max(-epsilon, min(epsilon, p~ + 2 epsilon / steps sign(grad L_train(p~)) - p)))

    and p itself, if L_train(p~) is below L_train(p) in the end. Epsilon and clip are those of `RandomSmoothing`; since
    the clip comes last, p~ may leave the box of radius epsilon a little. L_train is the cross entropy of the training
    batch without regularizers, at the weights before the step, by a network that is evaluated: with
    `Method.running_statistics` by moving averages, as in the released code, else by the statistics of the batch.

    A step takes `steps` + 2 passes more, two of them forward only.

    Attributes:
        initial_radius: epsilon in the first epoch, in units of the weights of the candidates.
        final_radius: epsilon towards which it moves; equal to `initial_radius` for a constant one.
        steps: Steps of the ascent.

    Raises:
        UserError: A radius that is not positive, or no steps.

    Source: Chen and Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based Regularization", ICML
    2020, arXiv 2002.05283; released code, xiangning-chen/SmoothDARTS, `attacker/perturb.py`, `Linf_PGD_alpha`.
    """

    initial_radius: float = 0.03
    final_radius: float = 0.3
    steps: int = 7

    def __post_init__(self):
        _check_radii(self)
        require_count(steps=self.steps)

    def __call__(self, rows: Rows, radius, seed, loss) -> tuple[Rows, Scalars]:
        names, length = list(rows), 2 * radius / self.steps

        def ascended(*tables):
            slopes = loss.slopes(dict(zip(names, tables, strict=True)))
            return tuple(
                clipped(
                    rows[name] + tf.clip_by_value(table + length * _sign(slopes[name]) - rows[name], -radius, radius)
                )
                for name, table in zip(names, tables, strict=True)
            )

        tables = _repeated(ascended, self.steps, list(_shaken(rows, radius, seed).values()))
        found = dict(zip(names, tables, strict=True))
        before, after = loss(rows), loss(found)
        worse = tf.logical_not(before > after)  # as released: equal losses keep the perturbation
        kept = {name: tf.where(worse, found[name], rows[name]) for name in names}
        return kept, {GAIN: tf.where(worse, after - before, 0.0)}


class BatchLoss:
    """The cross entropy of a training batch over all replicas, as a function of the weights of the candidates.

    The weights of the network are those of now; nothing is written, moving averages and the state of noise included.

    Args:
        setup: of the step.
        batch: this replica's share.
        scales: cell type -> [E, 1], the sums of the rows of the weights.
        info: the moment; what decisions have closed stays closed, and what surrounds the edges is that of the moment,
            without anything random.
    """

    def __init__(self, setup: StepSetup, batch: Batch, scales: Rows, info: PassInfo):
        self._supernet, self._batch, self._scales, self._allowed = setup.supernet, batch, scales, info.allowed
        self._moment = {"moment": Moment(info.progress)} if setup.method.edges else {}
        self._weights = [tf.convert_to_tensor(variable.value) for variable in setup.supernet.trainable_variables]
        # Half precision may lose gradients of unscaled losses; their signs are those of the scaled ones.
        self._scale = tf.cast(setup.method.weight_optimizer.scale_loss(1.0), tf.float32)

    def __call__(self, rows: Rows) -> tf.Tensor:
        """The loss, a scalar."""
        return summed([self._share(rows)])[0]

    def slopes(self, rows: Rows) -> Rows:
        """Its gradient with respect to the rows, times a positive number."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(rows.values()))
            loss = self._scale * self._share(rows)
        gradients = tape.gradient(loss, list(rows.values()), unconnected_gradients=ZERO)
        return dict(zip(rows, summed(gradients), strict=True))

    def _share(self, rows: Rows) -> tf.Tensor:
        probs = masked({name: self._scales[name] * table for name, table in rows.items()}, self._allowed)
        options = {"training": False, "unused": None, "fixed_weights": True, **self._moment}
        outputs = with_weights(
            self._supernet, self._weights, lambda: self._supernet(self._batch.images, probs, **options)
        )
        return share_of_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self._batch.labels, outputs))


def perturbed(
    perturbation: Perturbation, setup: StepSetup, batch: Batch, probs: Mapping[str, tf.Tensor], info: PassInfo, seed
) -> tuple[dict[str, tf.Tensor], Scalars]:
    """The weights of the candidates of a weight pass, and what to log: radius, mean change and what the part tells.

    Args:
        perturbation: the part.
        setup: of the step.
        batch: this replica's share of the training batch.
        probs: cell type -> [E, O], the weights of the relaxation.
        info: the moment.
        seed: int32 [2], equal on all replicas.
    """
    scales = {name: tf.reduce_sum(table, -1, keepdims=True) for name, table in probs.items()}
    rows = {name: tf.math.divide_no_nan(table, scales[name]) for name, table in probs.items()}
    first, last = perturbation.initial_radius, perturbation.final_radius
    radius = first + (last - first) * tf.cast(info.epoch_progress, tf.float32)
    found, metrics = perturbation(rows, radius, seed, BatchLoss(setup, batch, scales, info))
    changes = tf.concat([tf.reshape(tf.abs(found[name] - rows[name]), [-1]) for name in rows], 0)
    metrics = {RADIUS: radius, SIZE: tf.reduce_mean(changes), **metrics}
    return {name: scales[name] * found[name] for name in rows}, metrics


def clipped(table: tf.Tensor) -> tf.Tensor:
    """Rows clipped to [0, 1] and divided by their sums; without a positive entry the largest one alone counts."""
    inside = tf.clip_by_value(table, 0.0, 1.0)
    sums = tf.reduce_sum(inside, -1, keepdims=True)
    largest = tf.one_hot(tf.argmax(table, -1), table.shape[-1], dtype=table.dtype)
    return tf.where(sums > 0, tf.math.divide_no_nan(inside, sums), largest)


def _shaken(rows: Rows, radius: tf.Tensor, seed: tf.Tensor) -> Rows:
    """clip(p + U(-radius, radius)), with other numbers for each cell type."""
    return {
        name: clipped(table + _uniform(table, radius, tf.random.fold_in(seed, index)))
        for index, (name, table) in enumerate(rows.items())
    }


def _uniform(table: tf.Tensor, radius: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return radius * tf.random.stateless_uniform(tf.shape(table), seed, -1.0, 1.0)


def _sign(slope: tf.Tensor) -> tf.Tensor:
    """The sign; 0 where float16 has overflowed, which the update of the weights then skips."""
    return tf.where(tf.math.is_finite(slope), tf.sign(slope), 0.0)


def _repeated(function: Callable, count: int, tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
    """What `function` makes of the tensors when it is applied so many times, traced once where that is possible."""
    if tf.distribute.get_replica_context().num_replicas_in_sync > 1:  # replicas cannot meet inside a loop
        for _ in range(count):
            tensors = function(*tensors)
        return tensors
    loop = tf.while_loop(
        lambda index, *_: index < count,
        lambda index, *values: (index + 1, *function(*values)),
        (tf.constant(0), *tensors),
        parallel_iterations=1,
        maximum_iterations=count,
    )
    return loop[1:]


def _check_radii(perturbation: Perturbation) -> None:
    radii = {"initial_radius": perturbation.initial_radius, "final_radius": perturbation.final_radius}
    require_positive(**radii)
