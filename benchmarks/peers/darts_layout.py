"""The DARTS space as data, for the peers: cells, edges, where the reductions are, the published cell DARTS_V2.

Source: quark0/darts, `cnn/model_search.py`, `cnn/model.py`, `cnn/genotypes.py`.
"""

from typing import NamedTuple

NODES = 4
STEM_MULTIPLIER = 3
PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
# Per cell kind and node: (operation, source) twice.
DARTS_V2 = {
    "normal": (
        (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
        (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
        (("sep_conv_3x3", 1), ("skip_connect", 0)),
        (("skip_connect", 0), ("dil_conv_3x3", 2)),
    ),
    "reduce": (
        (("max_pool_3x3", 0), ("max_pool_3x3", 1)),
        (("skip_connect", 2), ("max_pool_3x3", 1)),
        (("max_pool_3x3", 0), ("skip_connect", 2)),
        (("skip_connect", 2), ("max_pool_3x3", 1)),
    ),
}


class CellPlan(NamedTuple):
    """A cell: channels of its two inputs, channels of a node, its kind, and whether the first input is larger."""

    first: int
    second: int
    channels: int
    kind: str
    after_reduction: bool


def cells(channels: int, count: int) -> list[CellPlan]:
    """The cells of a network; a cell's output has 4 times the channels of its nodes."""
    reductions = (count // 3, 2 * count // 3)
    plans, inputs = [], (STEM_MULTIPLIER * channels, STEM_MULTIPLIER * channels)
    for index in range(count):
        reduce = index in reductions
        channels *= 2 if reduce else 1
        after = bool(plans) and plans[-1].kind == "reduce"
        plans.append(CellPlan(*inputs, channels, "reduce" if reduce else "normal", after))
        inputs = (inputs[1], NODES * channels)
    return plans


def stride(kind: str, source: int) -> int:
    """Of an edge from a node: 2 from the inputs of a reduction cell."""
    return 2 if kind == "reduce" and source < 2 else 1
