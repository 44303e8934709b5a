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
        masked: Whether decisions may close candidates during the search; all of them are allowed at first.

    Attributes:
        masks: Cell type -> which candidates are allowed, [E, O] float32 variables of 1 and 0; None if not `masked`.
    """

    def __init__(
        self, space: Space, seed: int, init_scale: float = 1e-3, edge_weights: bool = False, masked: bool = False
    ):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA]))
        self._variables = {
            name: keras.Variable(
                init_scale * rng.standard_normal(shape), dtype="float32", name=f"arch_logits_{name.replace('/', '_')}"
            )
            for name, shape in table_shapes(space, edge_weights).items()
        }
        self.masks: dict[str, tf.Variable] | None = None
        if masked:
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            self.masks = {
                cell_type: tf.Variable(tf.ones(shape), trainable=False, name=f"allowed_{cell_type}", aggregation=first)
                for cell_type, shape in space.logit_shapes.items()
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

    def allowed(self) -> dict[str, tf.Tensor] | None:
        """Cell type -> which candidates are allowed now, [E, O] float32; None without masks."""
        if self.masks is None:
            return None
        return {cell_type: mask.read_value() for cell_type, mask in self.masks.items()}

    def allow(self, tables: Mapping[str, np.ndarray]) -> None:
        """Sets which candidates are allowed, cell type -> [E, O] bool; takes effect in the next step."""
        for cell_type, mask in self.masks.items():
            mask.assign(np.asarray(tables[cell_type], np.float32))

    def undecided(self) -> list[tf.Tensor] | None:
        """For each of `variables` which edges have more than one candidate left, [E, 1] bool; None without masks."""
        if self.masks is None:
            return None
        return [tf.reduce_sum(mask, axis=-1, keepdims=True) > 1 for mask in self.allowed().values()]


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
