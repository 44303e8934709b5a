"""The architecture logits A: outside the Keras model, so that the weight optimizer never sees them."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_edd.spaces.space import Space


class ArchLogits:
    """Logits [E, O] of each cell type, float32, drawn from init_scale * N(0, 1).

    Args:
        space: The search space, which determines the shapes.
        seed: Seed of the draw.
        init_scale: Standard deviation of the logits (1e-3 in DARTS).
        masked: Whether decisions may close candidates during the search; all of them are allowed at first.

    Attributes:
        masks: Cell type -> which candidates are allowed, [E, O] float32 variables of 1 and 0; None if not `masked`.
    """

    def __init__(self, space: Space, seed: int, init_scale: float = 1e-3, masked: bool = False):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA]))
        self._variables = {
            cell_type: keras.Variable(
                init_scale * rng.standard_normal(shape), dtype="float32", name=f"arch_logits_{cell_type}"
            )
            for cell_type, shape in space.logit_shapes.items()
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
        """One variable per cell type, in the order of the space."""
        return list(self._variables.values())

    def tensors(self) -> dict[str, tf.Tensor]:
        """Cell type -> current logits [E, O]."""
        return {cell_type: tf.convert_to_tensor(variable.value) for cell_type, variable in self._variables.items()}

    def numpy(self) -> dict[str, np.ndarray]:
        """Cell type -> a copy of the logits [E, O]."""
        return {cell_type: np.array(variable.numpy()) for cell_type, variable in self._variables.items()}

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
