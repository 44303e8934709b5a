"""Spaces: counts and edges by another way, and the supernet that is built from them."""

import math

import numpy as np
import pytest
import tensorflow as tf
from conformance.rows import SPACES, each

from tf_edd.analysis.counting import count_supernet
from tf_edd.networks.supernet import Supernet


@each(SPACES)
def test_num_architectures_counts_one_choice_per_edge(row):
    space = row.build()
    choices = [len(edge.primitives) for cell in space.cells for edge in cell.edges]
    # Logarithms to 12 digits tell one choice more or less on any edge, and are exact enough for 10^17 architectures.
    assert math.log(space.num_architectures) == pytest.approx(sum(math.log(n) for n in choices), rel=1e-12)


@each(SPACES)
def test_every_edge_is_found_from_both_ends(row):
    for cell in row.build().cells:
        nodes, edges = range(cell.num_nodes), list(range(len(cell.edges)))
        assert sorted(i for node in nodes for i in cell.incoming(node)) == edges
        assert sorted(i for node in nodes for i in cell.outgoing(node)) == edges
        assert all(cell.incoming(node) for node in cell.intermediate_nodes)


@each([row for row in SPACES if row.small])
def test_the_supernet_has_the_counted_parameters(row):
    space = row.build()
    supernet = Supernet(space, 7)
    supernet.build((None, 8, 8, 2))
    counted = count_supernet(space, (8, 8, 2), 7).parameters
    assert sum(math.prod(variable.shape) for variable in supernet.trainable_variables) == counted
    probs = {cell_type: tf.fill(shape, 1 / shape[1]) for cell_type, shape in space.logit_shapes.items()}
    images = tf.constant(np.random.default_rng(0).normal(size=(4, 8, 8, 2)), tf.float32)
    outputs = supernet(images, probs, training=True)
    assert outputs.shape == (4, 7) and np.isfinite(outputs).all()
