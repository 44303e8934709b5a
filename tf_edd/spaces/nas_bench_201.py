"""The NAS-Bench-201 space (Dong and Yang, ICLR 2020, https://arxiv.org/abs/2001.00326)."""

import dataclasses

from tf_edd.errors import require_count, require_one_of
from tf_edd.part import checked
from tf_edd.spaces.space import Block, CellSpec, Edge, Space

PRIMITIVES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELL = CellSpec(
    cell_type="cell",
    num_inputs=1,
    num_nodes=4,
    edges=tuple(Edge(source, target, PRIMITIVES) for target in range(1, 4) for source in range(target)),
)
WITHOUT_NONE = dataclasses.replace(
    CELL, edges=tuple(dataclasses.replace(edge, primitives=PRIMITIVES[1:]) for edge in CELL.edges)
)
STAGES = 3


@checked(module="tf_edd.spaces")
def nas_bench_201(
    init_channels: int = 16, cells_per_stage: int = 5, with_none: bool = True, stem_stride: int = 1
) -> Space:
    """NAS-Bench-201: one cell of 4 nodes and 6 edges with 5 candidates each, 5^6 = 15,625 architectures.

    Three stages of `cells_per_stage` cells with a residual block of stride 2 and twice the channels between them;
    a 3x3 convolution as the stem, and batch norm, ReLU, global average pooling and a linear layer as the head.

    Args:
        init_channels: channels of the first stage (16 in the benchmark).
        cells_per_stage: cells of each stage (5 in the benchmark).
        with_none: whether `none` is a candidate, as in the benchmark. Without it there are 4^6 = 4,096 architectures,
            which the table has as well.
        stem_stride: stride of the stem, 1 in the benchmark. 2 makes a network for images of 64 x 64 pixels as fast as
            one for 32 x 32.

    Raises:
        UserError: A size that is not an integer of at least 1, or another stride than 1 and 2.
    """
    require_count(init_channels=init_channels, cells_per_stage=cells_per_stage)
    require_one_of((1, 2), stem_stride=stem_stride)
    cell = CELL if with_none else WITHOUT_NONE
    blocks = [Block("stem", init_channels, stride=stem_stride)]
    for stage in range(STAGES):
        channels = init_channels * 2**stage
        if stage:
            blocks.append(Block("reduction", channels, stride=2))
        blocks.extend([Block("cell", channels, cell=CELL.cell_type)] * cells_per_stage)
    blocks.append(Block("head", blocks[-1].channels))
    return Space("nas_bench_201", (cell,), tuple(blocks))
