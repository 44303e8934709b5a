"""The DARTS space (Liu et al., ICLR 2019, https://arxiv.org/abs/1806.09055) for CIFAR and for ImageNet."""

import dataclasses
from collections.abc import Sequence

from tf_edd.errors import UserError, require_count, require_one_of
from tf_edd.part import checked
from tf_edd.spaces.space import Block, CellSpec, Edge, Space

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
KINDS = ("normal", "reduce")
INPUTS = 2
KEPT_EDGES = 2
AUXILIARY_CHANNELS = 768
STEMS = ("evaluation", "search")


@checked(module="tf_edd.spaces")
def darts(
    init_channels: int = 16,
    num_cells: int = 8,
    num_nodes: int = 4,
    stem_multiplier: int = 3,
    with_none: bool = True,
    optional_edges: bool = False,
) -> Space:
    """The DARTS space for small images: normal cells, and reduction cells at one and two thirds of the depth.

    A cell has two inputs (the outputs of the two cells before it), `num_nodes` intermediate nodes with an edge from
    every earlier node, and returns those nodes side by side. A reduction cell halves the resolution and doubles the
    channels. A genotype keeps two edges per node. Search: 16 channels, 8 cells; evaluation on CIFAR-10: 36 and 20.

    Args:
        init_channels: channels of a node in the first cells.
        num_cells: number of cells.
        num_nodes: number of intermediate nodes of a cell.
        stem_multiplier: channels of the stem, in units of `init_channels`.
        with_none: whether `none` is a candidate.
        optional_edges: whether a genotype may leave edges out, so that a node has two, one or none (Fair-DARTS).

    Raises:
        UserError: A size below 1, fewer than 3 cells, or optional edges beside `none`.

    Source: https://github.com/quark0/darts, `cnn/model_search.py`, `cnn/model.py`.
    """
    check_sizes(init_channels=init_channels, num_cells=num_cells, num_nodes=num_nodes, stem_multiplier=stem_multiplier)
    if with_none and optional_edges:
        raise UserError("optional_edges stands for `none`: give with_none = False with it. Received: both True")
    cells = tuple(
        dataclasses.replace(cell, optional_edges=True, excluded=()) if optional_edges else cell
        for cell in _cells(num_nodes, with_none)
    )
    return Space("darts", cells, cifar_blocks(init_channels, num_cells, stem_multiplier))


@checked(module="tf_edd.spaces")
def darts_imagenet(
    init_channels: int = 48, num_cells: int = 14, num_nodes: int = 4, stem: str = "evaluation", with_none: bool = True
) -> Space:
    """The DARTS space for large images: two stems of stride 4 and 2, which feed the first cell.

    Args:
        init_channels: channels of a node in the first cells.
        num_cells: number of cells.
        num_nodes: number of intermediate nodes of a cell.
        stem: "evaluation" (stems as wide as `init_channels`) or "search" (three times as wide, as the supernets of
            PC-DARTS and DrNAS on ImageNet).
        with_none: whether `none` is a candidate.

    Raises:
        UserError: A size below 1, fewer than 3 cells, or another stem.

    Source: https://github.com/quark0/darts, `cnn/model.py`, `NetworkImageNet`.
    """
    check_sizes(init_channels=init_channels, num_cells=num_cells, num_nodes=num_nodes)
    require_one_of(STEMS, stem=stem)
    width = init_channels * (3 if stem == "search" else 1)
    stems = (Block("stem_quarter", width, stride=4), Block("stem_eighth", width, stride=2))
    body = _body(init_channels, num_cells, "auxiliary_imagenet")
    return Space("darts", _cells(num_nodes, with_none), (*stems, *body, Block("classifier", body[-1].channels)))


def cell_specs(num_nodes: int, primitives: dict[str, Sequence[tuple[str, ...]]]) -> tuple[CellSpec, ...]:
    """The normal and the reduction cell.

    Args:
        num_nodes: number of intermediate nodes.
        primitives: cell type -> candidates of each edge, ordered by target node, then by source.
    """
    total = INPUTS + num_nodes
    pairs = [(source, target) for target in range(INPUTS, total) for source in range(target)]
    return tuple(
        CellSpec(
            cell_type=cell_type,
            num_inputs=INPUTS,
            num_nodes=total,
            edges=tuple(
                Edge(source, target, candidates, stride=2 if cell_type == "reduce" and source < INPUTS else 1)
                for (source, target), candidates in zip(pairs, primitives[cell_type], strict=True)
            ),
            output="concat",
            edges_per_node=KEPT_EDGES,
            excluded=("none",),
            preprocess=True,
            pool_norm=True,
        )
        for cell_type in KINDS
    )


def cifar_blocks(init_channels: int, num_cells: int, stem_multiplier: int) -> tuple[Block, ...]:
    """Stem, cells and classifier for small images."""
    body = _body(init_channels, num_cells, "auxiliary_cifar")
    return (Block("stem", init_channels * stem_multiplier), *body, Block("classifier", body[-1].channels))


def check_sizes(**sizes: int) -> None:
    """Refuses sizes below 1, and too few cells for the two reductions.

    Raises:
        UserError: Such a size, with its name.
    """
    for name, size in sizes.items():
        require_count(least=3 if name == "num_cells" else 1, **{name: size})


def _cells(num_nodes: int, with_none: bool) -> tuple[CellSpec, ...]:
    candidates = PRIMITIVES if with_none else PRIMITIVES[1:]
    edges = num_nodes * INPUTS + num_nodes * (num_nodes - 1) // 2
    return cell_specs(num_nodes, {cell_type: [candidates] * edges for cell_type in KINDS})


def _body(init_channels: int, num_cells: int, auxiliary: str) -> list[Block]:
    """The cells, with reductions at a third and two thirds of the depth, and the side branch after the second one."""
    blocks, channels, reductions = [], init_channels, (num_cells // 3, 2 * num_cells // 3)
    for index in range(num_cells):
        reduces = index in reductions
        channels *= 2 if reduces else 1
        blocks.append(Block("cell", channels, 2 if reduces else 1, KINDS[reduces]))
        if index == reductions[1]:
            blocks.append(Block(auxiliary, AUXILIARY_CHANNELS))
    return blocks
