"""Uniformly drawn cells of NAS-Bench-201 that let images through."""

from collections.abc import Iterator

import numpy as np

from tf_edd.architectures.connected import dead_end
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
        genotype = Argmax()({cell: rng.random(shape) for cell, shape in space.logit_shapes.items()}, space)
        if dead_end(genotype, space) is None:
            yield genotype
