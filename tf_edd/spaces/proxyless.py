"""The mobile space of ProxylessNAS (Cai et al., ICLR 2019, https://arxiv.org/abs/1812.00332)."""

import numbers
from collections.abc import Sequence

from tf_edd.errors import UserError, require_positive
from tf_edd.part import checked
from tf_edd.spaces.space import Block, CellSpec, Edge, Space

PRIMITIVES = (
    "mbconv_k3_e3",
    "mbconv_k3_e6",
    "mbconv_k5_e3",
    "mbconv_k5_e6",
    "mbconv_k7_e3",
    "mbconv_k7_e6",
)
DIVISOR = 8


@checked(module="tf_edd.spaces")
def proxyless(
    widths: Sequence[int] = (24, 40, 80, 96, 192, 320),
    blocks: Sequence[int] = (4, 4, 4, 4, 4, 1),
    strides: Sequence[int] = (2, 2, 2, 1, 2, 1),
    stem_width: int = 32,
    stem_stride: int = 2,
    first_width: int = 16,
    head_width: int = 1280,
    width_multiplier: float = 1.0,
    with_none: bool = True,
) -> Space:
    """ProxylessNAS: a chain of blocks, each with an operation of its own; 7^15 6^6 architectures.

    A block is an inverted bottleneck with a depthwise kernel of 3, 5 or 7 and an expansion of 3 or 6. Where neither
    size nor width changes, the input is added to the output and `none` is a candidate too, which leaves the block out.
    The first block of a stage changes stride and width. Every block is a cell type of one edge, named `block_01` etc.

    Args:
        widths: channels of each stage.
        blocks: number of searched blocks of each stage.
        strides: stride of the first block of each stage, 1 or 2.
        stem_width: channels of the convolution 3x3 that reads the image.
        stem_stride: stride of that convolution, 1 or 2; 1 for small images.
        first_width: channels of the fixed block after it, which is not searched.
        head_width: channels of the convolution 1x1 before the classifier.
        width_multiplier: factor of all these channels, which are rounded to multiples of 8 if it is not 1; the head is
            only made wider.
        with_none: whether a block can be left out.

    Raises:
        UserError: A size below 1, another stride, or different numbers of stages.

    Source: released code of mit-han-lab/proxylessnas, `search/models/super_nets/super_proxyless.py`.
    """
    widths, counts, strides = tuple(widths), tuple(blocks), tuple(strides)
    _check(widths, counts, strides, (stem_width, first_width, head_width), stem_stride, width_multiplier)
    counts, strides, stem_stride = tuple(map(int, counts)), tuple(map(int, strides)), int(stem_stride)
    stem_width, first_width, *widths = (
        _scaled(width, width_multiplier) for width in (stem_width, first_width, *widths)
    )
    head_width = _scaled(head_width, max(width_multiplier, 1.0))
    cells, chain, before = [], [], first_width
    for width, count, first_stride in zip(widths, counts, strides, strict=True):
        for stride in (first_stride, *[1] * (count - 1)):
            cells.append(_cell(f"block_{len(cells) + 1:02d}", stride, stride == 1 and width == before, with_none))
            chain.append(Block("cell", width, stride, cells[-1].cell_type))
            before = width
    stem = (Block("mobile_stem", stem_width, stem_stride), Block("mobile_first", first_width))
    head = (Block("mobile_head", head_width), Block("classifier", head_width))
    return Space("proxyless", tuple(cells), (*stem, *chain, *head))


def _cell(cell_type: str, stride: int, residual: bool, with_none: bool) -> CellSpec:
    candidates = (*PRIMITIVES, "none") if residual and with_none else PRIMITIVES
    return CellSpec(cell_type, num_inputs=1, num_nodes=2, edges=(Edge(0, 1, candidates, stride),), residual=residual)


def _scaled(width: int, multiplier: float) -> int:
    """The nearest multiple of 8 that is at most a tenth too narrow; the width itself if the multiplier is 1."""
    if multiplier == 1:
        return int(width)
    wanted = width * multiplier
    nearest = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return nearest if nearest >= 0.9 * wanted else nearest + DIVISOR


def _check(widths, blocks, strides, others, stem_stride, multiplier) -> None:
    if not len(widths) == len(blocks) == len(strides) > 0:
        raise UserError(
            "widths, blocks and strides must have equally many stages. Received: "
            f"widths={widths}, blocks={blocks}, strides={strides}"
        )
    names = {"widths": widths, "blocks": blocks, "stem_width, first_width and head_width": others}
    for name, sizes in names.items():
        if not all(isinstance(size, numbers.Integral) and size >= 1 for size in sizes):
            raise UserError(f"{name} must be integers of at least 1. Received: {sizes}")
    if not all(stride in (1, 2) for stride in (*strides, stem_stride)):
        raise UserError(f"strides and stem_stride must be 1 or 2. Received: strides={strides}, {stem_stride=}")
    require_positive(width_multiplier=multiplier)
