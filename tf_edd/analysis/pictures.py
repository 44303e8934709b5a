"""The pictures of a search: one per cell kind, or one of the whole network for a chain of blocks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tf_edd.analysis.chain_drawing import draw_chain, draw_chain_heat_map
from tf_edd.analysis.drawing import draw_cell, draw_heat_map
from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space

NETWORK = "network"


def draw_architecture(genotype: Genotype, space: Space, probs: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """Cell kind, or "network" -> drawing.

    Args:
        genotype: an architecture of `space`.
        space: gives nodes, edges and blocks.
        probs: cell kind -> distribution [E, O]; empty, or without a kind, where nothing is known.

    Raises:
        UserError: a genotype of another space, or probabilities of another shape.
    """
    if space.is_chain:
        return {NETWORK: draw_chain(genotype, space, probs or None)}
    return {kind: draw_cell(genotype, space, kind, probs.get(kind)) for kind in space.logit_shapes}


def draw_probabilities(probs: Mapping[str, np.ndarray], space: Space) -> dict[str, Figure]:
    """Cell kind, or "network" -> heat map of the distributions that are known.

    Raises:
        UserError: probabilities of another shape.
    """
    if space.is_chain:
        return {NETWORK: draw_chain_heat_map(probs, space)} if probs else {}
    return {kind: draw_heat_map(table, space.cell(kind)) for kind, table in probs.items()}
