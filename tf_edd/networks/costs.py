"""What the fixed blocks of a macro skeleton cost, in the conventions of `operations.costs`.

Nothing here looks at a layer, so the numbers check the layers.
"""

import dataclasses

from tf_edd.operations.costs import Counts, Maps, batch_norm, convolution, mbconv
from tf_edd.spaces.space import Block


@dataclasses.dataclass(frozen=True)
class BlockCost:
    """What a block costs.

    Attributes:
        counts: parameters and multiply-adds, without the linear layer of a head, whose classes the block does not tell.
        kept: number of values kept for the backward pass for one image.
        out: the maps that it returns; for a head those that the linear layer averages.
    """

    counts: Counts
    kept: int
    out: Maps


def stem(block: Block, maps: Maps) -> BlockCost:
    """Convolution 3x3, batch norm; with or without a ReLU before it, whose output replaces the input."""
    out = maps.after(block.channels, block.stride)
    counts = convolution(3, maps.channels, out) + batch_norm(out.channels)
    return BlockCost(counts, maps.values + out.values, out)


def stem_quarter(block: Block, maps: Maps) -> BlockCost:
    """Convolution 3x3 of stride 2 with half of the channels, BN, ReLU, another one with all, BN."""
    middle = maps.after(block.channels // 2, 2)
    out = middle.after(block.channels, 2)
    counts = convolution(3, maps.channels, middle) + convolution(3, middle.channels, out)
    norms = batch_norm(middle.channels) + batch_norm(out.channels)
    return BlockCost(counts + norms, maps.values + 2 * middle.values + out.values, out)


def reduction(block: Block, maps: Maps) -> BlockCost:
    """ReLU, convolution 3x3, BN twice, beside average pooling 2x2 and a 1x1 convolution without batch norm."""
    out = maps.after(block.channels, block.stride)
    main = convolution(3, maps.channels, out) + convolution(3, out.channels, out)
    norms = batch_norm(out.channels) + batch_norm(out.channels)
    shortcut = convolution(1, maps.channels, out)
    # ReLU of the input; first convolution, its ReLU, second convolution; the pooled shortcut.
    kept = maps.values + 3 * out.values + out.pixels * maps.channels
    return BlockCost(main + norms + shortcut, kept, out)


def mobile_stem(block: Block, maps: Maps) -> BlockCost:
    """Convolution 3x3, BN, ReLU6."""
    cost = stem(block, maps)
    return dataclasses.replace(cost, kept=cost.kept + cost.out.values)


def mobile_first(block: Block, maps: Maps) -> BlockCost:
    """The bottleneck 3x3 that does not expand; its input, the ReLU6 of the stem, is counted there."""
    out, cost = maps.after(block.channels, block.stride), mbconv(3, 1)
    return BlockCost(cost.counts(maps, out, True), cost.inner(maps, out) + out.values, out)


def mobile_head(block: Block, maps: Maps) -> BlockCost:
    """Convolution 1x1, BN, ReLU6."""
    out = maps.after(block.channels)
    counts = convolution(1, maps.channels, out) + batch_norm(out.channels)
    return BlockCost(counts, maps.values + 2 * out.values, out)


def head(block: Block, maps: Maps) -> BlockCost:
    """Batch norm, ReLU, global average pooling."""
    return BlockCost(batch_norm(maps.channels), 2 * maps.values, maps)


def nothing(block: Block, maps: Maps) -> BlockCost:
    """A block that is free or not counted."""
    return BlockCost(Counts(), 0, maps)
