"""A cell with something around the candidates of its edges."""

import numpy as np
import tensorflow as tf

from tf_edd.networks.cell import SearchCell
from tf_edd.networks.edge_part import edge_factory

NORM = {"affine": False, "running_statistics": False}


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def scalars(probs):
    return [tf.unstack(tf.constant(row, tf.float32)) for row in probs]


def built(spec, shapes, *parts, channels=4, **settings):
    """A cell of so many channels, built."""
    layer = SearchCell(spec, channels, NORM, make_edge=edge_factory(parts), **settings)
    layer.build(shapes)
    return layer


def kernels(layer):
    return iter([variable.numpy().astype(np.float64) for variable in layer.trainable_variables])
