"""The reduced spaces S1 to S4, in which DARTS fails (Zela et al., ICLR 2020, https://arxiv.org/abs/1909.09656).

They are cells of the DARTS space with few candidates per edge. Edges are numbered node by node: those of the first node
are 0 and 1, of the second 2 to 4, of the third 5 to 8, of the fourth 9 to 13.

Source: https://github.com/automl/RobustDARTS, `src/spaces.py`.
"""

from tf_edd.part import checked
from tf_edd.spaces.darts import KINDS, cell_specs, check_sizes, cifar_blocks
from tf_edd.spaces.space import Space

NUM_NODES = 4
NUM_EDGES = 14

SKIP, MAX, AVG = "skip_connect", "max_pool_3x3", "avg_pool_3x3"
SEP3, DIL3, DIL5 = "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"

S1_NORMAL = (
    *((SKIP, DIL3), (SKIP, DIL5)),
    *((SKIP, DIL5), (SKIP, SEP3), (SKIP, DIL3)),
    *((MAX, SKIP), (SKIP, SEP3), (SKIP, SEP3), (SKIP, DIL3)),
    *((SKIP, SEP3), (MAX, SKIP), (SKIP, DIL3), (DIL3, DIL5), (DIL3, DIL5)),
)
S1_REDUCE = (
    *((MAX, AVG), (MAX, DIL3)),
    *((MAX, AVG), (MAX, AVG), (SKIP, DIL5)),
    *((MAX, AVG), (MAX, SEP3), (SKIP, DIL3), (SKIP, DIL5)),
    *((MAX, AVG), (MAX, AVG), (SKIP, DIL5), (SKIP, DIL5), (SKIP, DIL5)),
)


@checked(module="tf_edd.spaces")
def s1(init_channels: int = 16, num_cells: int = 8, stem_multiplier: int = 3) -> Space:
    """S1: two candidates per edge, those that a search in the DARTS space ranked first; they differ between edges.

    Args:
        init_channels: channels of a node in the first cells.
        num_cells: number of cells.
        stem_multiplier: channels of the stem, in units of `init_channels`.

    Raises:
        UserError: A size below 1, or fewer than 3 cells.
    """
    return _space("s1", {"normal": S1_NORMAL, "reduce": S1_REDUCE}, init_channels, num_cells, stem_multiplier)


@checked(module="tf_edd.spaces")
def s2(init_channels: int = 16, num_cells: int = 8, stem_multiplier: int = 3) -> Space:
    """S2: skip connection or separable convolution 3x3 on every edge. Arguments and errors as of `s1`."""
    return _uniform("s2", (SKIP, SEP3), init_channels, num_cells, stem_multiplier)


@checked(module="tf_edd.spaces")
def s3(init_channels: int = 16, num_cells: int = 8, stem_multiplier: int = 3) -> Space:
    """S3: `none`, skip connection or separable convolution 3x3 on every edge. Arguments and errors as of `s1`."""
    return _uniform("s3", ("none", SKIP, SEP3), init_channels, num_cells, stem_multiplier)


@checked(module="tf_edd.spaces")
def s4(init_channels: int = 16, num_cells: int = 8, stem_multiplier: int = 3) -> Space:
    """S4: noise or separable convolution 3x3 on every edge. Arguments and errors as of `s1`."""
    return _uniform("s4", ("noise", SEP3), init_channels, num_cells, stem_multiplier)


def _uniform(name, candidates, init_channels, num_cells, stem_multiplier) -> Space:
    primitives = {cell_type: (candidates,) * NUM_EDGES for cell_type in KINDS}
    return _space(name, primitives, init_channels, num_cells, stem_multiplier)


def _space(name, primitives, init_channels, num_cells, stem_multiplier) -> Space:
    check_sizes(init_channels=init_channels, num_cells=num_cells, stem_multiplier=stem_multiplier)
    return Space(name, cell_specs(NUM_NODES, primitives), cifar_blocks(init_channels, num_cells, stem_multiplier))
