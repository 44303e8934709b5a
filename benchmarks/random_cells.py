"""Uniformly drawn cells of NAS-Bench-201 that let images through."""

from collections.abc import Iterator

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.discretizers import Argmax
from tf_edd.spaces import Space


def random_cells(space: Space, seed: int) -> Iterator[Genotype]:
    """Cells without end, as a function of the seed.

    Args:
        space: `nas_bench_201()` of any size.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    while True:
        weights = {cell: rng.random(shape) for cell, shape in space.logit_shapes.items()}
        if leads_somewhere(weights["cell"], space.cell("cell")):
            yield Argmax()(weights, space)


def leads_somewhere(weights: np.ndarray, cell) -> bool:
    """Whether a way from the input to the output of a cell avoids `none`."""
    reached = {0}
    for edge, choice in zip(cell.edges, weights.argmax(1), strict=True):  # in the order of their targets
        if edge.source in reached and edge.primitives[choice] != "none":
            reached.add(edge.target)
    return cell.num_nodes - 1 in reached
