"""Cells of the supernet: sums over edges, one or several inputs, last node or all of them."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import cell as numpy_cell
from numpy_supernet import pool_3x3

from tf_edd.networks.cell import SearchCell
from tf_edd.networks.mixed_op import MixedOp
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.operations.preparations import PREPARATIONS
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


@pytest.mark.parametrize("unused", [None, Unused(), Unused(forward=True)])
def test_nas_bench_201_cell_equals_numpy(unused):
    x, probs = images(), table(6, 5)
    layer, result = run(nas_bench_201(4, 1).cells[0], [x], probs, unused=unused)
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

    monkeypatch.setitem(PREPARATIONS, "relu", counted)
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


class Bypass(keras.layers.Layer):
    """A mixed operation beside half of its source node, by composition."""

    def __init__(self, *arguments, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self.mixed = MixedOp(*arguments, name="mixed", dtype=dtype)
        self.candidates = self.mixed.candidates

    @property
    def preparations(self):
        return self.mixed.preparations | {"identity"}

    def build(self, input_shape):
        self.mixed.build(input_shape)

    def signals(self, moment, value):
        return {}

    def join(self, terms, others=()):
        return self.mixed.join(terms, others)

    def call(self, features, weights, training=False, unused=None):
        return [*self.mixed.call(features, weights, training, unused), 0.5 * features["identity"]]

    def call_single(self, value, weights, training=False, fixed_weights=False):
        return self.mixed.call_single(value, weights, training, fixed_weights) + 0.5 * value

    def compute_output_shape(self, input_shape):
        return self.mixed.compute_output_shape(input_shape)

    def get_config(self):
        return self.mixed.get_config()


@pytest.mark.parametrize("shared", [False, True])
def test_another_layer_can_surround_the_candidates_of_an_edge(shared):
    inputs, probs = [images(1), images(2)], np.eye(3, dtype=np.float32)[[1, 2, 0, 1, 1]]
    layer = SearchCell(two_inputs("last"), 4, NORM, traces=SharedTraces() if shared else None, make_edge=Bypass)
    layer.build([x.shape for x in inputs])

    def edge(row, x):
        return row[1] * x + row[2] * pool_3x3(x) + 0.5 * x

    first = edge(probs[0], inputs[0]) + edge(probs[1], inputs[1])
    expected = edge(probs[2], inputs[0]) + edge(probs[3], inputs[1]) + edge(probs[4], first)
    for single_path in (False, True):
        maps = [tf.constant(x) for x in inputs]
        result = layer.call(maps, scalars(probs), training=True, single_path=single_path)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_edges_of_different_classes_share_no_trace():
    """Though their configurations are equal."""
    inputs, traces = [images(1), images(2)], SharedTraces()
    probs = np.eye(3, dtype=np.float32)[[1] * 5]
    results = []
    for make_edge in (MixedOp, Bypass):
        layer = SearchCell(two_inputs("last"), 4, NORM, traces=traces, make_edge=make_edge)
        layer.build([x.shape for x in inputs])
        results.append(layer.call([tf.constant(x) for x in inputs], scalars(probs)).numpy())
    assert not np.allclose(*results)


def test_supernet_passes_the_factory_on():
    supernet = Supernet(nas_bench_201(4, 1), 3, make_edge=Bypass)
    cells = [layer for layer in supernet.blocks if isinstance(layer, SearchCell)]
    assert len(cells) == 3 and all(isinstance(edge, Bypass) for cell in cells for edge in cell.mixed_ops)
    assert len(list(supernet.candidates())) == 3 * 6 * 5
