"""The pictures of a search: one per cell type, or one of the whole network for a chain of blocks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tf_edd.analysis.chain_drawing import draw_chain
from tf_edd.analysis.drawing import draw_cell
from tf_edd.analysis.heat_maps import draw_chain_heat_map, draw_heat_map
from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space

NETWORK = "network"


def draw_architecture(
    genotype: Genotype, space: Space, probs: Mapping[str, np.ndarray], small: bool = False
) -> dict[str, Figure]:
    """Cell type, or "network" -> drawing.

    Args:
        genotype: an architecture of `space`.
        space: gives nodes, edges and blocks.
        probs: cell type -> distribution [E, O]; empty, or without a type, where nothing is known.
        small: drawn so that it is readable when it is shown small.

    Raises:
        UserError: a genotype of another space, or probabilities of another shape.
    """
    if space.is_chain:
        return {NETWORK: draw_chain(genotype, space, probs or None)}
    return {
        cell_type: draw_cell(genotype, space, cell_type, probs.get(cell_type), upright=small)
        for cell_type in space.logit_shapes
    }


def draw_probabilities(probs: Mapping[str, np.ndarray], space: Space, small: bool = False) -> dict[str, Figure]:
    """Cell type, or "network" -> heat map of the distributions that are known.

    Args:
        probs: cell type -> distribution [E, O].
        space: gives the names of edges and operations.
        small: drawn so that it is readable when it is shown small.

    Raises:
        UserError: probabilities of another shape.
    """
    if space.is_chain:
        return {NETWORK: draw_chain_heat_map(probs, space, small)} if probs else {}
    return {cell_type: draw_heat_map(table, space.cell(cell_type), small) for cell_type, table in probs.items()}
