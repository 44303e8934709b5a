"""Draws of paths, for samplers and for the validation of a supernet."""

import numpy as np
import tensorflow as tf

from tf_edd.samplers.path_sampler import Paths
from tf_edd.spaces.space import CellSpec, Space


def uniform(space: Space) -> dict[str, np.ndarray]:
    """Cell type -> the same probability for every allowed candidate of an edge, float32 [E, O]."""
    tables = {cell.cell_type: np.array(cell.allowed, np.float32) for cell in space.cells}
    return {cell_type: table / table.sum(axis=1, keepdims=True) for cell_type, table in tables.items()}


def draw_path(space: Space, probs, seed: tf.Tensor) -> Paths:
    """One path: a candidate of each edge by its row of `probs`, and a uniform choice of the edges that each node keeps.

    Args:
        space: The search space.
        probs: Cell type -> probabilities [E, O].
        seed: int32 [2].
    """
    path = {}
    for index, cell in enumerate(space.cells):
        key = tf.random.fold_in(seed, index)
        chosen = tf.random.stateless_categorical(tf.math.log(probs[cell.cell_type]), 1, key)[:, 0]
        table = tf.one_hot(chosen, cell.num_primitives)
        path[cell.cell_type] = table if cell.edges_per_node is None else table * _kept(cell, tf.random.fold_in(key, -1))
    return path


def _kept(cell: CellSpec, seed) -> tf.Tensor:
    """Ones for the edges that are kept, [E, 1]: for each node `edges_per_node` of those that enter it."""
    scores = tf.random.stateless_uniform([len(cell.edges)], seed)
    flags = [tf.constant(0.0)] * len(cell.edges)
    for node in cell.intermediate_nodes:
        entering = cell.incoming(node)
        own = tf.gather(scores, entering)
        smallest_kept = tf.math.top_k(own, cell.edges_per_node).values[-1]
        for place, edge in enumerate(entering):
            flags[edge] = tf.cast(own[place] >= smallest_kept, tf.float32)
    return tf.stack(flags)[:, None]
