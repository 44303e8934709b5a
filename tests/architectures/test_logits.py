"""The architecture logits: their draw, and that they stay apart from the network."""

import numpy as np
import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.spaces import CellSpec, Edge, Space, nas_bench_201


def wide_space(cell_types=("normal", "reduce")):
    edges = tuple(Edge(j, i, tuple("abcdefghij")) for i in range(1, 30) for j in range(i))
    return Space("wide", tuple(CellSpec(cell_type, 1, 30, edges) for cell_type in cell_types), ())


def test_shapes_and_types_follow_the_space():
    logits = ArchLogits(nas_bench_201(), seed=0)
    assert {cell_type: value.shape for cell_type, value in logits.numpy().items()} == {"cell": (6, 5)}
    assert [variable.dtype for variable in logits.variables] == ["float32"]
    assert logits.tensors()["cell"].dtype == tf.float32


def test_starts_as_a_normal_distribution_of_the_asked_scale():
    values = np.stack(list(ArchLogits(wide_space(), seed=3, init_scale=1e-3).numpy().values()))  # 8,700 numbers
    np.testing.assert_allclose(values.std(), 1e-3, rtol=0.03)
    assert abs(values.mean()) < 4e-5
    # EDD's constant E(a), the expected positive part of a logit (methods.md 2.13)
    np.testing.assert_allclose(np.maximum(values, 0).mean(), 3.99e-4, rtol=0.04)
    assert np.abs(values[0] - values[1]).max() > 1e-3  # each kind has its own


def test_the_seed_decides():
    first, again, other = (ArchLogits(nas_bench_201(), seed).numpy()["cell"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_copies_do_not_follow_the_variable():
    logits = ArchLogits(nas_bench_201(), seed=0)
    before = logits.numpy()["cell"]
    copy = before.copy()
    logits.variables[0].assign(np.ones((6, 5)))
    np.testing.assert_array_equal(before, copy)
    np.testing.assert_array_equal(logits.tensors()["cell"], np.ones((6, 5)))


def test_the_supernet_knows_nothing_of_them():
    space = nas_bench_201(4, 1)
    supernet = Supernet(space, 3)
    logits = ArchLogits(space, seed=0)
    supernet.build((None, 8, 8, 3))
    assert not {id(v) for v in supernet.variables} & {id(v) for v in logits.variables}
