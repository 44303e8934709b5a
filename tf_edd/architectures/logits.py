"""The architecture logits A: outside the Keras model, so that the weight optimizer never sees them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_edd.spaces.space import Space

_OF_EDGES = "/edges"


class ArchLogits:
    """Logits [E, O] of each cell type, float32, drawn from init_scale * N(0, 1).

    Args:
        space: The search space, which determines the shapes.
        seed: Seed of the draw.
        init_scale: Standard deviation of the logits (1e-3 in DARTS).
        edge_weights: Whether each cell type has a second table, [E], for the weights of its edges.
    """

    def __init__(self, space: Space, seed: int, init_scale: float = 1e-3, edge_weights: bool = False):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA]))
        self._variables = {
            name: keras.Variable(
                init_scale * rng.standard_normal(shape), dtype="float32", name=f"arch_logits_{name.replace('/', '_')}"
            )
            for name, shape in table_shapes(space, edge_weights).items()
        }

    @property
    def variables(self) -> list[keras.Variable]:
        """One variable per table: those of the candidates in the order of the space, then those of the edges."""
        return list(self._variables.values())

    def tensors(self) -> dict[str, tf.Tensor]:
        """Cell type -> current logits [E, O]; with edge weights also `edge_table(cell type)` -> [E]."""
        return {name: tf.convert_to_tensor(variable.value) for name, variable in self._variables.items()}

    def numpy(self) -> dict[str, np.ndarray]:
        """A copy of what `tensors` returns."""
        return {name: np.array(variable.numpy()) for name, variable in self._variables.items()}


def edge_table(cell_type: str) -> str:
    """The name of the table [E] of the edges of a cell type."""
    return cell_type + _OF_EDGES


def candidate_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables [E, O] of the candidates alone, by cell type."""
    return {name: table for name, table in tables.items() if not name.endswith(_OF_EDGES)}


def table_shapes(space: Space, edge_weights: bool = False) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each table."""
    shapes: dict[str, tuple[int, ...]] = dict(space.logit_shapes)
    if edge_weights:
        shapes |= {edge_table(cell_type): shape[:1] for cell_type, shape in space.logit_shapes.items()}
    return shapes
