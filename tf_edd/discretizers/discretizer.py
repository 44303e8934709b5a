"""The interface of discretizers, and the check of what they receive."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.spaces.space import Space


class Discretizer(Protocol):
    """Chooses one architecture of a space."""

    def __call__(self, probs: Mapping[str, np.ndarray], space: Space) -> Genotype:
        """The genotype for the probabilities of a search.

        Args:
            probs: The probabilities [E, O] of each type of cell; they are not changed.
            space: The space of the search.

        Raises:
            UserError: A type is missing, a shape is wrong, or a probability is not finite.
        """


def checked_probs(probs: Mapping[str, np.ndarray], space: Space, cell_type: str) -> np.ndarray:
    """The probabilities [E, O] of one type of cell, as float64.

    Raises:
        UserError: The type is missing, its shape is wrong, or a probability is not finite.
    """
    shape = space.logit_shapes[cell_type]
    if cell_type not in probs or np.shape(probs[cell_type]) != shape:
        received = np.shape(probs[cell_type]) if cell_type in probs else f"only the types {sorted(probs)}"
        raise UserError(f"Expected probabilities of shape {shape} for cell type {cell_type!r}. Received: {received}")
    table = np.asarray(probs[cell_type], np.float64)
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).any(axis=1).sum())
        raise UserError(
            f"Expected finite probabilities for cell type {cell_type!r}. Received: {bad} edges with NaN or inf"
        )
    return table
