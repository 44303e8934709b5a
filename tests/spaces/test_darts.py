"""The DARTS space: cells and skeletons as `cnn/model.py` and `cnn/model_search.py` of quark0/darts build them."""

import pytest

from tf_edd.errors import UserError
from tf_edd.spaces import darts, darts_imagenet

OPERATIONS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3")


def cells(space):
    return [block for block in space.blocks if block.role == "cell"]


def test_cells():
    space = darts()
    assert [cell.cell_type for cell in space.cells] == ["normal", "reduce"] and space.name == "darts"
    pairs = [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4)]
    pairs += [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]
    for cell in space.cells:
        assert [(edge.source, edge.target) for edge in cell.edges] == pairs
        assert {edge.primitives for edge in cell.edges} == {(*OPERATIONS, "dil_conv_5x5")}
        assert (cell.num_inputs, cell.num_nodes, cell.output, cell.edges_per_node) == (2, 6, "concat", 2)
        assert cell.excluded == ("none",) and cell.preprocess and cell.pool_norm
    assert {edge.stride for edge in space.cell("normal").edges} == {1}
    assert all(edge.stride == (2 if edge.source < 2 else 1) for edge in space.cell("reduce").edges)
    assert space.logit_shapes == {"normal": (14, 8), "reduce": (14, 8)}
    assert darts(with_none=False).logit_shapes == {"normal": (14, 7), "reduce": (14, 7)}


@pytest.mark.parametrize(
    "num_cells, reductions, auxiliary", [(8, [2, 5], 5), (20, [6, 13], 13), (14, [4, 9], 9), (3, [1, 2], 2)]
)
def test_reductions_at_one_and_two_thirds(num_cells, reductions, auxiliary):
    space = darts(36, num_cells)
    cell_types = [block.cell for block in cells(space)]
    assert [i for i, cell_type in enumerate(cell_types) if cell_type == "reduce"] == reductions
    assert [block.stride for block in cells(space)] == [1 + (i in reductions) for i in range(num_cells)]
    widths = [36 * 2 ** sum(i >= r for r in reductions) for i in range(num_cells)]
    assert [block.channels for block in cells(space)] == widths
    roles = [block.role for block in space.blocks]
    assert (roles[0], roles[-1], space.blocks[0].channels) == ("stem", "classifier", 108)
    assert roles.index("auxiliary_cifar") == auxiliary + 2  # after the stem and that cell


def test_wires_of_the_search_network():
    """Both inputs of the first cell are the stem; a cell after a reduction halves the one before that."""
    space = darts()
    wires = [wire for block, wire in zip(space.blocks, space.wires, strict=True) if block.role == "cell"]
    sources = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 8)]  # block 7 is the auxiliary head
    assert [wire.sources for wire in wires] == sources
    assert [i for i, wire in enumerate(wires) if wire.reduction_prev] == [3, 6]
    assert space.wires[-1].sources == (9,) and space.wires[-1].scales == (4,)
    assert space.wires[7].sources == (6,)


def test_stems_for_large_images_feed_the_first_cell():
    space = darts_imagenet()
    assert [block.role for block in space.blocks[:3]] == ["stem_quarter", "stem_eighth", "cell"]
    assert [block.channels for block in space.blocks[:3]] == [48, 48, 48] and len(cells(space)) == 14
    assert space.wires[2].sources == (0, 1) and space.wires[2].scales == (4, 8) and space.wires[2].reduction_prev
    assert space.wires[1].sources == (0,) and space.wires[3].sources == (1, 2)
    assert "auxiliary_imagenet" in [block.role for block in space.blocks]
    assert [block.channels for block in darts_imagenet(16, 8, stem="search").blocks[:2]] == [48, 48]
    assert darts_imagenet().cells == darts().cells and space.name == darts().name  # genotypes are of both


def test_other_numbers_of_nodes():
    assert len(darts(num_nodes=2).cell("normal").edges) == 5
    assert darts(stem_multiplier=1).blocks[0].channels == 16


@pytest.mark.parametrize("build", [darts, darts_imagenet])
@pytest.mark.parametrize("wrong", [{"num_cells": 2}, {"init_channels": 0}, {"num_nodes": 0}, {"num_nodes": 1.5}])
def test_refuses_sizes(build, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"{name} must .* Received: {name}={value}"):
        build(**wrong)


def test_refuses_another_stem():
    with pytest.raises(UserError, match="stem='large'"):
        darts_imagenet(stem="large")
