"""Perturbed weight passes (SDARTS) against the released algorithms, written again in NumPy."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conformance.some_steps import Trial
from numpy_supernet import forward
from tiny_search import method, run

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.relaxations import HardGumbel, Softmax
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import AdversarialSmoothing, Batch, FirstOrder, PassInfo, RandomSmoothing, StepInfo, StepSetup
from tf_edd.steps.perturbation import GAIN, RADIUS, SIZE, BatchLoss, clipped, perturbed

SEED = tf.constant([3, 4])
SPACE = nas_bench_201(4, 1)
RNG = np.random.default_rng(5)
IMAGES, LABELS = RNG.normal(size=(8, 8, 8, 3)).astype(np.float32), RNG.integers(0, 3, 8).astype(np.int32)
BATCH = Batch(tf.constant(IMAGES), tf.constant(LABELS))


def released_clip(table):
    """`Network.clip` of the released code, row by row."""
    table = np.array(table)
    for row in table:
        largest = row.argmax()
        np.clip(row, 0, 1, out=row)
        if row.sum() == 0:
            row[largest] = 1
        row /= row.sum()
    return table


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def searching(part, running_statistics=False):
    """Supernet, logits, setup and step of a search with plain SGD."""
    keras.utils.set_random_seed(3)
    supernet = Supernet(SPACE, 3, running_statistics)
    supernet.build((None, 8, 8, 3))
    logits = ArchLogits(SPACE, seed=0, init_scale=1.0)
    plain = [SGD(0.1, momentum=0.0, weight_decay=0.0) for _ in range(2)]
    parts = method(step=part, relaxation=Softmax(), weight_optimizer=plain[0], arch_optimizer=plain[1]).prepared()
    setup = StepSetup(supernet, logits, parts)
    return supernet, logits, setup, part.build(setup)


def moment(epoch_progress=0.0):
    return PassInfo(tf.constant(1.0), tf.constant(0.0), SEED, tf.constant(epoch_progress))


class Slope:
    """A loss with this gradient everywhere, and values by a function of the rows."""

    def __init__(self, slope, value):
        self._slope, self._value = slope, value

    def __call__(self, rows):
        return tf.constant(self._value(rows["cell"].numpy()), tf.float32)

    def slopes(self, rows):
        return {name: tf.constant(self._slope, tf.float32) for name in rows}


def test_rows_are_clipped_as_in_the_released_code():
    table = np.random.default_rng(0).normal(0.1, 0.4, size=(50, 5))
    table[0] = [-0.3, -0.1, -0.2, -0.4, -0.5]  # no positive entry
    table[1] = [0.2, -0.1, 1.7, 0.0, 0.0]
    found = clipped(tf.constant(table, tf.float32))
    np.testing.assert_allclose(found, released_clip(table), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found[0], [0, 1, 0, 0, 0])


def test_random_smoothing_draws_from_the_distribution_of_the_released_code():
    probs, rng, radius = [0.02, 0.1, 0.18, 0.3, 0.4], np.random.default_rng(1), 0.2
    rows = {"cell": tf.tile(tf.constant([probs]), [3000, 1])}
    found, _ = RandomSmoothing()(rows, tf.constant(radius), SEED, None)
    expected = released_clip(np.tile(probs, [3000, 1]) + rng.uniform(-radius, radius, size=(3000, 5)))
    for ours, theirs in zip(np.transpose(found["cell"]), expected.T, strict=True):
        assert scipy.stats.ks_2samp(ours, theirs).pvalue > 0.01
    assert np.mean(found["cell"][:, 0] == 0) > 0.3  # the smallest one is often clipped


def test_draws_follow_the_seed_and_differ_between_cell_types():
    rows = {name: tf.fill([4, 5], 0.2) for name in ("normal", "reduce")}
    draw = [RandomSmoothing()(rows, tf.constant(0.1), seed, None)[0] for seed in (SEED, SEED, SEED + 1)]
    np.testing.assert_array_equal(draw[0]["normal"], draw[1]["normal"])
    assert not np.allclose(draw[0]["normal"], draw[2]["normal"])
    assert not np.allclose(draw[0]["normal"], draw[0]["reduce"])


def test_the_ascent_ends_at_the_corner_of_the_box():
    """One step is as long as the box is wide: it takes each entry to its wall, and the clip divides by the sum."""
    row, slope = np.array([[0.2, 0.3, 0.5]]), np.array([[-2.0, 1e-3, 7.0]])
    rows = {"cell": tf.constant(row, tf.float32)}
    found, metrics = AdversarialSmoothing(steps=1)(
        rows, tf.constant(0.1), SEED, Slope(slope, lambda table: (table * slope).sum())
    )
    corner = row + 0.1 * np.sign(slope)
    np.testing.assert_allclose(found["cell"], corner / corner.sum(), rtol=1e-5)
    gain = ((found["cell"].numpy() - row) * slope).sum()
    assert float(metrics[GAIN]) == pytest.approx(gain, rel=1e-4) and gain > 0


def test_a_perturbation_that_lowers_the_loss_is_dropped_and_one_of_equal_loss_kept():
    rows = {"cell": tf.constant([[0.2, 0.3, 0.5]])}
    loss = Slope([[1.0, -1.0, 0.0]], lambda table: -np.abs(table - rows["cell"].numpy()).sum())
    found, metrics = AdversarialSmoothing()(rows, tf.constant(0.1), SEED, loss)
    np.testing.assert_array_equal(found["cell"], rows["cell"])
    assert float(metrics[GAIN]) == 0
    equal, _ = AdversarialSmoothing()(rows, tf.constant(0.1), SEED, Slope([[1.0, -1.0, 0.0]], lambda table: 2.0))
    assert np.abs(equal["cell"] - rows["cell"]).max() > 0.05


def released_attack(loss, probs, noise, radius, steps):
    """`Linf_PGD_alpha`, its gradient by central differences."""
    table = released_clip(probs + noise)
    for _ in range(steps):
        slope = np.zeros_like(table)
        for place in itertools.product(*map(range, table.shape)):
            shift = np.zeros_like(table)
            shift[place] = 1e-5
            slope[place] = (loss(table + shift) - loss(table - shift)) / 2e-5
        slope[np.abs(slope) < 1e-9] = 0  # of `none`
        table = table + 2 * radius / steps * np.sign(slope)
        table = released_clip(probs + np.clip(table - probs, -radius, radius))
    return table if loss(table) >= loss(probs) else probs


@pytest.mark.parametrize("loop", [False, True])
def test_the_attack_is_that_of_the_released_code_on_the_supernet_in_float64(loop):
    part, progress = AdversarialSmoothing(0.05, 0.25, steps=3), 0.25
    supernet, logits, setup, _ = searching(FirstOrder())
    radius, weights = 0.05 + 0.2 * progress, [weight.numpy() for weight in supernet.weights]

    def loss(probs):
        outputs = forward(IMAGES, probs, weights)
        shifted = outputs - outputs.max(1, keepdims=True)
        return np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(8), LABELS])

    probs = softmax(logits.numpy()["cell"].astype(np.float64))
    noise = radius * tf.random.stateless_uniform([6, 5], tf.random.fold_in(SEED, 0), -1.0, 1.0).numpy()
    expected = released_attack(loss, probs, noise, radius, 3)

    def attacked():
        return perturbed(part, setup, BATCH, {"cell": tf.constant(probs, tf.float32)}, moment(progress), SEED)

    found, metrics = tf.function(attacked)() if loop else attacked()
    np.testing.assert_allclose(found["cell"], expected, rtol=1e-4, atol=1e-5)
    assert float(metrics[RADIUS]) == pytest.approx(radius)
    assert float(metrics[SIZE]) == pytest.approx(np.abs(expected - probs).mean(), rel=1e-3)
    assert float(metrics[GAIN]) == pytest.approx(loss(expected) - loss(probs), rel=1e-3)
    assert loss(expected) > loss(probs) + 1e-3


@pytest.mark.parametrize("part", [RandomSmoothing(0.1, 0.1), AdversarialSmoothing(0.1, 0.1, steps=2)])
def test_the_weights_learn_at_the_perturbed_point_and_the_logits_at_their_own(part):
    batches = {"weights": BATCH, "arch": BATCH}
    net, logits, _, step = searching(FirstOrder(weight_gradient_clip=None, perturbation=part))
    other, other_logits, _, plain = searching(FirstOrder(weight_gradient_clip=None))
    scalars, expected = (one(batches, StepInfo(5, phases=("weights",))) for one in (step, plain))
    rise = float(scalars["loss/weights"]) - float(expected["loss/weights"])
    if isinstance(part, AdversarialSmoothing):  # the loss that it has found is that of the pass
        assert rise == pytest.approx(float(scalars[GAIN]), rel=1e-3, abs=1e-5) and rise > 1e-3
    assert rise != 0 and RADIUS not in expected
    assert float(scalars[RADIUS]) == pytest.approx(0.1) and 0 < float(scalars[SIZE]) <= 0.1
    for target, source in zip(other.variables, net.variables, strict=True):
        assert not np.array_equal(target, source) or "head" in target.path
        target.assign(source)
    for one in (step, plain):  # with equal weights the logits move alike
        one(batches, StepInfo(6, phases=("arch",)))
    np.testing.assert_array_equal(logits.numpy()["cell"], other_logits.numpy()["cell"])


def test_moving_averages_move_once_and_the_attack_uses_them():
    """The stem knows nothing of the cells: its averages after a step are those of a step without an attack."""
    part = FirstOrder(perturbation=AdversarialSmoothing(steps=2))
    supernet, _, setup, step = searching(part, running_statistics=True)
    other, _, _, plain = searching(FirstOrder(), running_statistics=True)
    rows = {"cell": tf.fill([6, 5], 0.2)}
    initial = float(BatchLoss(setup, BATCH, {"cell": tf.ones([6, 1])}, moment(0.0))(rows))
    outputs = supernet(BATCH.images, rows, training=False)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(BATCH.labels, outputs)
    assert initial == pytest.approx(float(tf.reduce_mean(entropy)), rel=1e-6)
    for one in (step, plain):
        one({"weights": BATCH, "arch": BATCH}, StepInfo(0, phases=("weights",)))
    stem = [[v.numpy() for v in net.blocks[0].variables if "moving" in v.path] for net in (supernet, other)]
    assert len(stem[0]) == 2 and np.abs(stem[0][0]).max() > 0
    for ours, theirs in zip(*stem, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rows_of_other_sums_are_perturbed_as_distributions():
    """As the folded weights of edges are: the sum of each row stays, and an empty one stays empty."""
    probs = softmax(np.random.default_rng(0).normal(size=(6, 5)))
    sums = np.array([[0.5], [2.0], [1.0], [0.0], [0.1], [0.3]])
    _, _, setup, _ = searching(FirstOrder())
    plain, scaled = (
        perturbed(RandomSmoothing(), setup, BATCH, {"cell": tf.constant(table, tf.float32)}, moment(0.5), SEED)[0]
        for table in (probs, sums * probs)
    )
    np.testing.assert_allclose(scaled["cell"], sums * plain["cell"].numpy(), rtol=1e-5, atol=1e-7)


def test_the_radius_grows_from_epoch_to_epoch_and_is_recorded(tmp_path):
    part = FirstOrder(perturbation=RandomSmoothing(0.1, 0.4))
    result = run(tmp_path, step=part, epochs=3, split=(32, 32))
    radii = [row[RADIUS] for row in result.history]
    np.testing.assert_allclose(radii, [0.1, 0.2, 0.3], rtol=1e-6)
    assert all(0 < row[SIZE] <= radius for row, radius in zip(result.history, radii, strict=True))


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: RandomSmoothing(initial_radius=0.0), "initial_radius must be a positive number. Received:"),
        (lambda: AdversarialSmoothing(final_radius=-1.0), "final_radius must be a positive number. Received:"),
        (lambda: AdversarialSmoothing(steps=0), "steps must be an integer of at least 1. Received: steps=0"),
        (
            lambda: FirstOrder(perturbation=0.3),
            "FirstOrder.perturbation must be a perturbation such as @RandomSmoothing",
        ),
    ],
)
def test_impossible_values_are_refused(make, told):
    with pytest.raises(UserError, match=told):
        make()


def test_a_relaxation_that_runs_one_candidate_alone_is_not_perturbed():
    with pytest.raises(UserError, match="HardGumbel runs one candidate of an edge alone, without a perturbation"):
        Trial(FirstOrder(perturbation=RandomSmoothing()), {"relaxation": HardGumbel()})
