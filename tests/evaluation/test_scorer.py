"""Scores against NumPy on all images at once."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.evaluation.scorer import Scorer


def batches(logits, labels, size):
    images = logits[:, None, None, :].astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((images, labels.astype(np.int32))).batch(size)


def score(logits, labels, size):
    scorer = Scorer(lambda images: tf.reshape(images, [-1, logits.shape[-1]]), logits.shape[-1])
    scores = scorer(batches(logits, labels, size), size)
    assert scorer.function.experimental_get_tracing_count() == 1
    return scores


@pytest.mark.parametrize("size", [1, 7, 25, 64])
def test_every_image_counts_once_at_any_batch_size(size):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(25, 8)), rng.integers(0, 6, 25)
    scores = score(logits, labels, size)
    order = np.argsort(-logits, -1)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert scores.images == 25
    np.testing.assert_allclose(scores.loss, -log_probs[np.arange(25), labels].mean(), rtol=1e-5)
    np.testing.assert_allclose(scores.accuracy, (order[:, 0] == labels).mean())
    np.testing.assert_allclose(scores.top_5_accuracy, (order[:, :5] == labels[:, None]).any(-1).mean())
    expected = [(order[labels == c, 0] == c).mean() if (labels == c).any() else np.nan for c in range(8)]
    np.testing.assert_allclose(scores.class_accuracy, expected)
    assert np.isnan(scores.class_accuracy[7])


def test_five_classes_have_no_top_5():
    assert score(np.eye(5), np.arange(5), 2).top_5_accuracy is None


_TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
from tf_edd.runtime import strategy as strategies
from tf_edd.evaluation.scorer import Scorer
strategies.use_logical_cpus(2)
with strategies.make_strategy("mirrored").scope():
    scorer = Scorer(lambda images: tf.reshape(images, [-1, 6]), 6)
images = np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 4, 5, 0]].reshape(7, 1, 1, 6)
batches = tf.data.Dataset.from_tensor_slices((images, np.array([0, 1, 2, 3, 4, 0, 0], np.int32))).batch(3)
scores = scorer(batches, 3)
assert scores.images == 7 and abs(scores.accuracy - 6 / 7) < 1e-6, scores
"""


def test_a_batch_that_replicas_do_not_divide():
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", _TWO_REPLICAS], check=True, cwd=root, timeout=300)
