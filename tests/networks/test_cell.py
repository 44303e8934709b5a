"""Cells of the supernet: sums over edges, one or several inputs, last node or all of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import cell as numpy_cell
from numpy_supernet import pool_3x3

from tf_edd.networks import cell as cell_module
from tf_edd.networks.cell import SearchCell
from tf_edd.spaces import CellSpec, Edge, nas_bench_201

NORM = {"affine": False, "running_statistics": False}


def images(seed=0, channels=4):
    return np.random.default_rng(seed).normal(size=(4, 6, 6, channels)).astype(np.float32)


def table(edges, operations, seed=1):
    return np.random.default_rng(seed).dirichlet(np.ones(operations), size=edges).astype(np.float32)


def scalars(probs):
    return [tf.unstack(tf.constant(row)) for row in probs]


def two_inputs(output):
    """Two inputs, two intermediate nodes, average pooling or a skip connection on every edge."""
    edges = tuple(Edge(j, i, ("none", "skip_connect", "avg_pool_3x3")) for i in (2, 3) for j in range(i))
    return CellSpec("normal", 2, 4, edges, output)


def run(spec, inputs, probs, **settings):
    layer = SearchCell(spec, 4, NORM)
    layer.build([x.shape for x in inputs])
    result = layer.call([tf.constant(x) for x in inputs], scalars(probs), training=True, **settings)
    return layer, result


@pytest.mark.parametrize("skip_unused", [False, True])
def test_nas_bench_201_cell_equals_numpy(skip_unused):
    x, probs = images(), table(6, 5)
    layer, result = run(nas_bench_201(4, 1).cells[0], [x], probs, skip_unused=skip_unused)
    expected = numpy_cell(x, probs, iter([variable.numpy() for variable in layer.trainable_variables]))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output", ["last", "concat"])
def test_two_inputs_in_closed_form(output):
    inputs, probs = [images(1), images(2)], table(5, 3)
    layer, result = run(two_inputs(output), inputs, probs)

    def edge(row, x):
        return row[1] * x + row[2] * pool_3x3(x)

    first = edge(probs[0], inputs[0]) + edge(probs[1], inputs[1])
    second = edge(probs[2], inputs[0]) + edge(probs[3], inputs[1]) + edge(probs[4], first)
    expected = second if output == "last" else np.concatenate([first, second], -1)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape([x.shape for x in inputs]) == result.shape


@pytest.mark.parametrize("output", ["last", "concat"])
def test_a_residual_cell_adds_the_last_input_to_the_last_node(output):
    inputs, probs = [images(1), images(2)], table(5, 3)
    spec = two_inputs(output)
    _, plain = run(spec, inputs, probs)
    layer, result = run(dataclasses.replace(spec, residual=True), inputs, probs)
    expected = plain.numpy()
    expected[..., -4:] += inputs[1]
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape([x.shape for x in inputs]) == result.shape


def test_only_the_shortcut_remains_where_none_is_chosen():
    spec = CellSpec("block", 1, 2, (Edge(0, 1, ("mbconv_k3_e3", "none")),), residual=True)
    x = images()
    _, result = run(spec, [x], np.float32([[0, 1]]))
    np.testing.assert_array_equal(result, x)
    layer, result = run(spec, [x], np.float32([[0.25, 0.75]]))
    bottleneck = layer.mixed_ops[0].candidates[0].call(tf.constant(x), training=True)
    np.testing.assert_allclose(result, x + 0.25 * bottleneck, rtol=1e-4, atol=1e-5)


def test_strided_edges_halve_the_nodes():
    edges = tuple(Edge(0, 1, ("nor_conv_1x1", "nor_conv_3x3"), stride=2) for _ in range(1))
    edges += (Edge(1, 2, ("nor_conv_1x1", "nor_conv_3x3")),)
    layer, result = run(CellSpec("reduce", 1, 3, edges), [images()], table(2, 2))
    assert result.shape == (4, 3, 3, 4) == layer.compute_output_shape([(4, 6, 6, 4)])


def test_channels_of_the_input_may_differ():
    edges = (Edge(0, 1, ("nor_conv_1x1", "nor_conv_3x3")),)
    _, result = run(CellSpec("wider", 1, 2, edges), [images(channels=3)], table(1, 2))
    assert result.shape == (4, 6, 6, 4)


def test_a_preparation_is_computed_once_a_node(monkeypatch):
    calls = []

    def counted(x):
        calls.append(1)
        return tf.nn.relu(x)

    monkeypatch.setitem(cell_module.PREPARATIONS, "relu", counted)
    run(nas_bench_201(4, 1).cells[0], [images()], table(6, 5))
    assert len(calls) == 3  # nodes 0, 1 and 2, though six edges and twelve convolutions read it


def test_gradient_with_respect_to_the_inputs_reaches_every_path():
    x = tf.constant(images())
    layer = SearchCell(two_inputs("last"), 4, NORM)
    layer.build([x.shape] * 2)
    skips = np.tile(np.float32([0, 1, 0]), (5, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer.call([x, 2 * x], scalars(skips))
    # Node 2 = x + 2x, node 3 = x + 2x + node 2.
    np.testing.assert_allclose(y, 6 * x, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(y, x), np.full(x.shape, 6), rtol=1e-6)
