"""The NAS-Bench-201 space: the cell and the macro skeleton of the paper (Dong and Yang, Fig. 1 and Section 2.1)."""

import gin
import pytest

from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.spaces import nas_bench_201


def test_cell_of_the_benchmark():
    (cell,) = nas_bench_201().cells
    assert [(edge.source, edge.target) for edge in cell.edges] == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    operations = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert {edge.primitives for edge in cell.edges} == {operations}
    assert {edge.stride for edge in cell.edges} == {1}
    assert (cell.num_inputs, cell.num_nodes, cell.output) == (1, 4, "last")
    assert cell.edges_per_node is None and cell.excluded == ()


def test_number_of_architectures():
    assert nas_bench_201().num_architectures == 15_625
    assert nas_bench_201().logit_shapes == {"cell": (6, 5)}


def test_the_space_without_none_is_a_part_of_the_other():
    """4 operations on 6 edges; the tables have a row for each of these cells."""
    space, whole = nas_bench_201(with_none=False), nas_bench_201()
    assert space.num_architectures == 4**6 and space.logit_shapes == {"cell": (6, 4)}
    assert {edge.primitives for edge in space.cell("cell").edges} == {whole.cell("cell").edges[0].primitives[1:]}
    text = "|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|nor_conv_1x1~0|nor_conv_3x3~1|skip_connect~2|"
    assert str(from_text(text, space)) == str(from_text(text, whole)) == text
    with pytest.raises(UserError, match="none"):
        from_text(text.replace("skip_connect~0", "none~0"), space)


def test_macro_skeleton_of_17_blocks():
    blocks = nas_bench_201().blocks
    roles = ["stem", *["cell"] * 5, "reduction", *["cell"] * 5, "reduction", *["cell"] * 5, "head"]
    assert [block.role for block in blocks] == roles
    # The benchmark counts cells and residual blocks: 17 of them between stem and head.
    assert len(blocks[1:-1]) == 17
    assert [block.channels for block in blocks] == [16] + [16] * 5 + [32] * 6 + [64] * 6 + [64]
    assert [i for i, block in enumerate(blocks) if block.stride == 2] == [6, 12]
    assert {block.cell for block in blocks if block.role == "cell"} == {"cell"}


def test_other_sizes():
    space = nas_bench_201(init_channels=24, cells_per_stage=1)
    assert [block.role for block in space.blocks] == ["stem", "cell", "reduction", "cell", "reduction", "cell", "head"]
    assert [block.channels for block in space.blocks] == [24, 24, 48, 48, 96, 96, 96]


def test_a_stem_of_stride_two_costs_as_much_as_half_the_size():
    """Maps of 64 x 64 behind a stem of stride 2 are those of 32 x 32 behind one of stride 1."""
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|"
    whole, halved = nas_bench_201(cells_per_stage=2), nas_bench_201(cells_per_stage=2, stem_stride=2)
    small = count(whole, from_text(cell, whole), (32, 32, 3), 10)
    large = count(halved, from_text(cell, halved), (64, 64, 3), 10)
    assert (small.parameters, small.multiply_adds) == (large.parameters, large.multiply_adds)


def test_refuses_another_stride():
    with pytest.raises(UserError, match="stem_stride must be one of 1, 2. Received: stem_stride=3"):
        nas_bench_201(stem_stride=3)


@pytest.mark.parametrize("sizes", [{"init_channels": 0}, {"cells_per_stage": 0}, {"init_channels": -1}])
def test_refuses_sizes_below_one(sizes):
    (name, value) = next(iter(sizes.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        nas_bench_201(**sizes)


def test_is_a_gin_configurable():
    with gin.unlock_config():
        try:
            gin.parse_config("tf_edd.spaces.nas_bench_201.init_channels = 8")
            assert gin.get_configurable(nas_bench_201)().blocks[0].channels == 8
        finally:
            gin.clear_config()
    assert nas_bench_201().blocks[0].channels == 16
