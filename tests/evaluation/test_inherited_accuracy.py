"""Accuracy with inherited weights, and moving averages that are gathered anew for each cell."""

import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import forward
from tiny_search import at_once, tiny_space

from tf_edd.architectures.genes import Genes
from tf_edd.errors import UserError
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.spaces import nas_bench_201

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 8, 8, 3)).astype(np.float32)
LABELS = rng.integers(0, 3, 24).astype(np.int32)
TINY = tiny_space()
CELLS = [Genes(TINY).decode(code) for code in ((0, 1), (1, 0), (1, 1))]


class StoredImages:
    """The images in stored order, in every epoch."""

    size = len(X)

    def batches(self, batch_size, seed, epoch, shuffle=True, drop_remainder=True, augment=()):
        return at_once(tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(batch_size, drop_remainder))


def build(running_statistics, space=TINY):
    supernet = Supernet(space, 3, running_statistics)
    supernet.build((None, 8, 8, 3))
    draw = np.random.default_rng(1)
    for variable in supernet.trainable_variables:
        variable.assign(draw.normal(size=variable.shape) * 0.5)
    return supernet


def accuracy_of(supernet, batch_size=8, **more):
    return InheritedAccuracy(supernet, StoredImages(), batch_size, tf.distribute.get_strategy(), StoredImages(), **more)


def test_batch_statistics_equal_numpy():
    space = nas_bench_201(4, 1)
    supernet, genes = build(False, space), Genes(space)
    accuracy, weights = accuracy_of(supernet), [variable.numpy() for variable in supernet.trainable_variables]
    for cell in [genes.decode(genes.sample(np.random.default_rng(seed))) for seed in range(3)]:
        probs = cell.one_hot(space)["cell"]
        outputs = np.concatenate([forward(X[i : i + 8], probs, weights) for i in range(0, 24, 8)])
        assert accuracy(cell) == pytest.approx((outputs.argmax(1) == LABELS).mean(), abs=1e-6)
    record = accuracy.record()
    assert {**record, "weights": ""} == {
        "images": 24,
        "batch_size": 8,
        "replicas": 1,
        "precision": "float32",
        "weights": "",
    }
    supernet.trainable_variables[0].assign_add(tf.ones_like(supernet.trainable_variables[0]))
    assert accuracy.record()["weights"] != record["weights"]


def test_averages_over_one_batch_are_its_statistics():
    """Of a batch that is all images: then both kinds of supernet compute the same (up to the unbiased variance)."""
    batch_mode, moving = build(False), build(True)
    accuracy = accuracy_of(moving, 24, recalibration_batches=1)
    for cell in CELLS:
        accuracy(cell)
        probs = {cell_type: tf.constant(table) for cell_type, table in cell.one_hot(TINY).items()}
        outputs = [net(X, probs, training=False, unused=Unused()).numpy() for net in (batch_mode, moving)]
        np.testing.assert_allclose(*outputs, atol=0.05 * np.abs(outputs[0]).max())


def test_averages_are_weighted_means_of_the_batches():
    """Those of the stem, whose input is the image: 0.9^(N-1-i) of batch i, normalized; two passes."""
    supernet = build(True)
    accuracy_of(supernet, 8, recalibration_batches=5)(CELLS[0])
    norm = next(layer for layer in supernet._flatten_layers() if isinstance(layer, BatchNorm))
    kernel = next(variable for variable in supernet.trainable_variables if variable.shape == (3, 3, 3, 4))
    maps = tf.nn.conv2d(X, tf.convert_to_tensor(kernel), 1, "SAME").numpy().astype(np.float64)
    batches = [maps[8 * (i % 3) : 8 * (i % 3) + 8].reshape(-1, 4) for i in range(5)]
    weights = 0.9 ** np.arange(4, -1, -1)
    mean = np.average([batch.mean(0) for batch in batches], axis=0, weights=weights)
    variance = np.average([batch.var(0, ddof=1) for batch in batches], axis=0, weights=weights)
    np.testing.assert_allclose(norm.moving_mean.numpy(), mean, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-4)


def test_a_cell_has_one_accuracy_whatever_was_measured_before():
    supernet = build(True)
    before = [variable.numpy() for variable in supernet.trainable_variables]
    accuracy = accuracy_of(supernet, 8, recalibration_batches=2)

    def measure(cell):
        return accuracy(cell), *(variable.numpy().tobytes() for variable in supernet.non_trainable_variables)

    first = [measure(cell) for cell in CELLS]
    assert [measure(cell) for cell in reversed(CELLS)] == first[::-1] and len(set(first)) == len(CELLS)
    for old, variable in zip(before, supernet.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_moving_averages_need_a_batch():
    with pytest.raises(UserError, match="recalibration_batches=0"):
        accuracy_of(build(True), recalibration_batches=0)
