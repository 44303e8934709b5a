"""The architecture logits A: outside the Keras model, so that the weight optimizer never sees them."""

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
    """

    def __init__(self, space: Space, seed: int, init_scale: float = 1e-3):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA]))
        self._variables = {
            cell_type: keras.Variable(
                init_scale * rng.standard_normal(shape), dtype="float32", name=f"arch_logits_{cell_type}"
            )
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
