"""The mixed operation: weighted terms, and operations left out where their weight is zero."""

import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import convolve, normalize, pool_3x3, relu

from tf_edd.networks.mixed_op import MixedOp
from tf_edd.networks.unused import Unused
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.spaces.nas_bench_201 import PRIMITIVES

X = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)
WEIGHTS = [0.1, 0.2, 0.3, 0.15, 0.25]
NORM = {"affine": False, "running_statistics": False}


def build(primitives=PRIMITIVES):
    mixed = MixedOp(primitives, 3, norm=NORM)
    mixed.build(X.shape)
    return mixed


def features(mixed, x=X):
    return {name: PREPARATIONS[name](x) for name in mixed.preparations}


def call(mixed, weights, **settings):
    return mixed.call(
        features(mixed), [tf.constant(weight, tf.float32) for weight in weights], training=True, **settings
    )


def test_terms_are_the_weighted_candidates():
    mixed = build()
    small, large = (variable.numpy() for variable in mixed.trainable_variables)
    expected = [
        WEIGHTS[1] * X,
        WEIGHTS[2] * normalize(convolve(relu(X), small)),
        WEIGHTS[3] * normalize(convolve(relu(X), large)),
        WEIGHTS[4] * pool_3x3(X),
    ]
    terms = call(mixed, WEIGHTS)
    assert len(terms) == 4  # `none` is not added
    for term, wanted in zip(terms, expected, strict=True):
        np.testing.assert_allclose(term, wanted, rtol=1e-4, atol=1e-5)


def test_terms_keep_the_order_of_the_primitives():
    mixed = build(("avg_pool_3x3", "none", "skip_connect"))
    pooled, skipped = call(mixed, [0.5, 0.3, 0.2])
    np.testing.assert_allclose(pooled, 0.5 * pool_3x3(X), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(skipped, 0.2 * X, rtol=1e-6)


def test_asks_only_for_the_preparations_it_reads():
    assert build().preparations == {"identity", "relu", "avg_pool_3x3"}
    assert build(("none", "skip_connect")).preparations == {"identity"}
    assert build(("none", "nor_conv_1x1")).preparations == {"relu"}


@pytest.mark.parametrize("weights", [[0, 0.5, 0, 0.5, 0], [0, 0, 1.0, 0, 0], WEIGHTS])
@pytest.mark.parametrize("batch", [4, None])
def test_skipping_gives_the_same_terms(weights, batch):
    mixed = build()

    @tf.function(input_signature=[tf.TensorSpec((batch, *X.shape[1:])), tf.TensorSpec([5])])
    def skipping(x, table):
        return mixed.call(features(mixed, x), tf.unstack(table), training=True, unused=Unused())

    for term, wanted in zip(skipping(X, tf.constant(weights)), call(mixed, weights), strict=True):
        np.testing.assert_allclose(term, wanted, rtol=1e-5, atol=1e-6)


def test_skipping_does_not_run_the_operation():
    mixed = build()
    mixed.candidates[2].kernel.assign(np.full((1, 1, 3, 3), np.nan))  # running it would poison even 0 times it
    weights = [0, 0.5, 0, 0.5, 0]
    assert np.isnan(call(mixed, weights)[1]).all()
    for weight in (0, 1e-10):
        weights[2] = weight
        np.testing.assert_array_equal(call(mixed, weights, unused=Unused())[1], 0)
    weights[2] = 1e-9  # above 2^-32: it counts
    assert np.isnan(call(mixed, weights, unused=Unused())[1]).all()


def test_configuration_round_trip():
    mixed = build()
    again = MixedOp.from_config(mixed.get_config())
    assert again.get_config() == mixed.get_config()
    assert mixed.get_config()["primitives"] == list(PRIMITIVES)
