"""Candidate operations: shapes, the mixing weight, configuration, precision, statistics."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conformance.rows import OPERATIONS, each

from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.preparations import PREPARATIONS

FEATURES = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)


def prepared(operation, dtype=tf.float32):
    if not operation.built:
        operation.build(FEATURES.shape)
        operation.built = True
    return PREPARATIONS[operation.preparation](tf.cast(FEATURES, dtype))


def apply(operation, x, scale=None, training=True):
    return operation(x, scale=scale, training=training)


@each(OPERATIONS)
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (None, 6, 5, 3), (None, None, None, 3)])
def test_the_output_shape_is_the_announced_one(row, shape):
    operation = row.build()
    announced = operation.compute_output_shape(shape)
    actual = apply(operation, prepared(operation)).shape
    assert len(announced) == 4
    assert all(side in (None, wanted) for side, wanted in zip(announced, actual, strict=True))
    assert [side is None for side in announced] == [side is None for side in shape]


@each(OPERATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_the_scale_argument_multiplies_the_output(row, training):
    operation = row.build(running_statistics=True)
    x = prepared(operation)
    plain = apply(operation, x, training=training)
    for scale in (0.0, 0.3, 1.0):
        scaled = apply(operation, x, tf.constant(scale), training)
        np.testing.assert_allclose(scaled, scale * plain, rtol=1e-4, atol=1e-5)


@each(OPERATIONS)
def test_the_gradient_of_the_scale_is_the_upstream_times_the_output(row):
    operation, scale = row.build(), tf.constant(0.3)
    plain = apply(operation, prepared(operation)).numpy()
    upstream = np.random.default_rng(1).normal(size=plain.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        loss = tf.reduce_sum(apply(operation, prepared(operation), scale) * upstream)
    slope = tape.gradient(loss, scale, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_allclose(slope, np.sum(upstream * plain), rtol=1e-4, atol=1e-4)


@each(OPERATIONS)
def test_the_gradient_of_the_input_scales_too(row):
    operation = row.build()
    x = prepared(operation)
    slopes = []
    for scale in (None, tf.constant(0.25)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(apply(operation, x, scale) ** 3)
        slopes.append(tape.gradient(loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy())
    np.testing.assert_allclose(slopes[1], 0.25**3 * slopes[0], rtol=1e-3, atol=1e-4)


@each(OPERATIONS)
def test_an_operation_survives_its_configuration(row):
    operation = row.build()
    apply(operation, prepared(operation))
    again = type(operation).from_config(json.loads(json.dumps(operation.get_config())))
    assert again.get_config() == operation.get_config() and again.preparation == operation.preparation
    apply(again, prepared(again))
    for target, source in zip(again.variables, operation.variables, strict=True):
        assert target.shape == source.shape and target.trainable == source.trainable
        target.assign(source)
    np.testing.assert_array_equal(
        apply(again, prepared(again), tf.constant(0.5)), apply(operation, prepared(operation), tf.constant(0.5))
    )


@each(OPERATIONS)
@pytest.mark.parametrize("policy, dtype", [("mixed_bfloat16", tf.bfloat16), ("mixed_float16", tf.float16)])
def test_low_precision_stays_low_and_its_variables_high(row, policy, dtype):
    operation = row.build(dtype=policy)
    operation.build(FEATURES.shape)
    scaled = operation.call(prepared(operation, dtype), tf.constant(0.3), training=True)
    assert scaled.dtype == dtype
    assert {variable.dtype for variable in operation.variables} <= {"float32"}
    high = row.build()
    high.build(FEATURES.shape)
    for target, source in zip(high.variables, operation.variables, strict=True):
        target.assign(source)
    expected = high.call(prepared(high), tf.constant(0.3), training=True)
    np.testing.assert_allclose(tf.cast(scaled, tf.float32), expected, rtol=0.05, atol=0.02)


@each(OPERATIONS)
def test_one_trace_when_the_scale_changes(row):
    operation = row.build()
    operation.build(FEATURES.shape)
    compiled = tf.function(lambda x, scale: apply(operation, x, scale))
    results = [compiled(prepared(operation), tf.constant(scale)) for scale in (1.0, 0.5, 0.0)]
    assert compiled.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(results[0], apply(operation, prepared(operation)), rtol=1e-4, atol=1e-5)


@each(OPERATIONS)
def test_training_alone_moves_the_averages(row):
    operation = row.build(running_statistics=True)
    operation.build(FEATURES.shape)
    averages = [variable for variable in operation.variables if not variable.trainable]
    norms = [layer for layer in operation._flatten_layers() if isinstance(layer, BatchNorm)]
    assert len(averages) == 2 * len(norms)
    before = [variable.numpy() for variable in averages]
    evaluated = apply(operation, prepared(operation), training=False).numpy()
    assert all(np.array_equal(old, new) for old, new in zip(before, averages, strict=True))
    trained = apply(operation, prepared(operation), training=True).numpy()
    assert all(np.abs(old - new).max() > 1e-6 for old, new in zip(before, averages, strict=True))
    assert np.allclose(evaluated, trained, atol=1e-3) == (not averages)


@each(OPERATIONS)
def test_without_running_statistics_evaluation_is_training(row):
    operation = row.build(running_statistics=False)
    x = prepared(operation)
    np.testing.assert_array_equal(apply(operation, x, training=False), apply(operation, x, training=True))
    assert all(variable.trainable for variable in operation.variables)
