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
            probs: The probabilities [E, O] of each kind of cell; they are not changed.
            space: The space of the search.

        Raises:
            UserError: A kind is missing, a shape is wrong, or a probability is not finite.
        """


def checked_probs(probs: Mapping[str, np.ndarray], space: Space, kind: str) -> np.ndarray:
    """The probabilities [E, O] of one kind of cell, as float64.

    Raises:
        UserError: The kind is missing, its shape is wrong, or a probability is not finite.
    """
    shape = space.logit_shapes[kind]
    if kind not in probs or np.shape(probs[kind]) != shape:
        received = np.shape(probs[kind]) if kind in probs else f"only the kinds {sorted(probs)}"
        raise UserError(f"Expected probabilities of shape {shape} for cell kind {kind!r}. Received: {received}")
    table = np.asarray(probs[kind], np.float64)
    if not np.isfinite(table).all():
        bad = int((~np.isfinite(table)).any(axis=1).sum())
        raise UserError(f"Expected finite probabilities for cell kind {kind!r}. Received: {bad} edges with NaN or inf")
    return table
