"""Loss and accuracy of the supernet against NumPy."""

import numpy as np
import tensorflow as tf
from numpy_supernet import forward
from tiny_search import at_once

from tf_edd.edges import AuxiliarySkip, EdgeDropPath
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.supernet import Supernet
from tf_edd.spaces import nas_bench_201

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 8, 8, 3)).astype(np.float32)
LABELS = rng.integers(0, 3, 20).astype(np.int32)


class StoredImages:
    """Images in stored order, the way the evaluator asks for them."""

    def batches(self, batch_size, seed, epoch, shuffle, drop_remainder):
        assert not shuffle
        return at_once(tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(batch_size, drop_remainder))


def tables():
    cells = [np.eye(5)[choice] for choice in ([3, 1, 4, 2, 3, 1], [2, 0, 1, 3, 4, 3])]
    return [np.random.default_rng(1).dirichlet(np.ones(5), 6), np.full((6, 5), 0.2), *cells]


def expected(probs, weights, batch_size, **around):
    """Batch statistics make the batches matter."""
    parts = [X[i : i + batch_size] for i in range(0, len(X), batch_size)]
    outputs = np.concatenate([forward(part, probs, weights, **around) for part in parts])
    shifted = outputs - outputs.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(X)), LABELS]
    return losses.mean(), (outputs.argmax(1) == LABELS).mean()


def test_equals_numpy_with_one_trace_for_mixtures_and_one_for_cells():
    supernet = Supernet(nas_bench_201(4, 1), 3)
    supernet.build((None, 8, 8, 3))
    evaluate = SupernetEvaluator(supernet)
    strategy = tf.distribute.get_strategy()
    weights = [variable.numpy() for variable in supernet.trainable_variables]
    for probs in tables():
        result = evaluate({"cell": probs}, StoredImages(), 8, strategy)  # the last of 20 images are a batch of 4
        np.testing.assert_allclose(result, expected(probs, weights, 8), rtol=1e-4)
    for before, variable in zip(weights, supernet.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())
    assert evaluate.function.experimental_get_tracing_count() == 4  # of both, whole batches and the last one


def test_mixtures_have_the_auxiliary_skip_of_their_moment_and_drop_nothing():
    supernet = Supernet(nas_bench_201(4, 1), 3, make_edge=edge_factory((AuxiliarySkip(), EdgeDropPath(0.9))))
    supernet.build((None, 8, 8, 3))
    evaluate, strategy = SupernetEvaluator(supernet), tf.distribute.get_strategy()
    weights = [variable.numpy() for variable in supernet.trainable_variables]
    mixture, *_, cell = tables()
    for progress in (0.25, 0.5):
        result = evaluate({"cell": mixture}, StoredImages(), 8, strategy, progress)
        np.testing.assert_allclose(result, expected(mixture, weights, 8, auxiliary=1 - progress), rtol=1e-4)
    assert evaluate.function.experimental_get_tracing_count() == 2  # whole batches and the last one
    result = evaluate({"cell": cell}, StoredImages(), 8, strategy)
    np.testing.assert_allclose(result, expected(cell, weights, 8), rtol=1e-4)
