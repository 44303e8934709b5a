"""The mobile space: the table of ProxylessNAS' released code (methods.md 4.5), and what it refuses."""

import json

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.spaces import proxyless

OPERATIONS = ("mbconv_k3_e3", "mbconv_k3_e6", "mbconv_k5_e3", "mbconv_k5_e6", "mbconv_k7_e3", "mbconv_k7_e6")
# Of each stage: width, blocks, first stride, whether its first block keeps size and width.
STAGES = [(24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)]
FIRST = [0, 4, 8, 12, 16, 20]  # the first blocks of the stages


def blocks(space):
    return [block for block in space.blocks if block.role == "cell"]


def test_blocks_and_their_candidates():
    space = proxyless()
    assert space.name == "proxyless" and space.is_chain and len(space.cells) == 21
    assert [cell.cell_type for cell in space.cells] == [f"block_{n:02d}" for n in range(1, 22)]
    assert [block.cell for block in blocks(space)] == [cell.cell_type for cell in space.cells]
    assert [i for i, cell in enumerate(space.cells) if not cell.residual] == FIRST
    for cell in space.cells:
        assert cell.edges[0].primitives == ((*OPERATIONS, "none") if cell.residual else OPERATIONS)
        assert (cell.num_inputs, cell.num_nodes, cell.output, cell.excluded) == (1, 2, "last", ())
    assert sorted(space.logit_shapes.values()) == [(1, 6)] * 6 + [(1, 7)] * 15
    assert space.num_architectures == 7**15 * 6**6


def test_skeleton():
    space = proxyless()
    assert [block.channels for block in blocks(space)] == [width for width, count, _ in STAGES for _ in range(count)]
    strides = [stride if n == 0 else 1 for _, count, stride in STAGES for n in range(count)]
    assert [block.stride for block in blocks(space)] == strides == [cell.edges[0].stride for cell in space.cells]
    fixed = [(block.role, block.channels, block.stride) for block in space.blocks if block.role != "cell"]
    assert fixed[:2] == [("mobile_stem", 32, 2), ("mobile_first", 16, 1)]
    assert fixed[2:] == [("mobile_head", 1280, 1), ("classifier", 1280, 1)]
    assert space.wires[-1].scales == (32,) and all(len(wire.sources) == 1 for wire in space.wires)


def test_without_none():
    assert {shape for shape in proxyless(with_none=False).logit_shapes.values()} == {(1, 6)}
    assert proxyless(with_none=False).cells[1].residual


def test_small():
    space = proxyless([8, 8], [1, 2], [1, 2], stem_width=8, stem_stride=1, first_width=8, head_width=16)
    assert [cell.residual for cell in space.cells] == [True, False, True]  # the first keeps size and width here
    assert space.wires[-1].scales == (2,)
    assert hash(space) == hash(proxyless((8, 8), (1, 2), (1, 2), 8, 1, 8, 16))


@pytest.mark.parametrize(
    ("multiplier", "stem", "first", "widths", "head"),
    [
        (1.4, 48, 24, [32, 56, 112, 136, 272, 448], 1792),  # 44.8 lies nearer to 48; 33.6 to 32
        (0.5, 16, 8, [16, 24, 40, 48, 96, 160], 1280),  # 12 rounds up to 16, 20 to 24
        (0.35, 16, 8, [8, 16, 32, 32, 64, 112], 1280),  # 11.2: 8 would lose more than a tenth
        (0.25, 8, 8, [8, 16, 24, 24, 48, 80], 1280),  # 10 lies nearer to 8, which loses a fifth: 16
    ],
)
def test_width_multiplier(multiplier, stem, first, widths, head):
    """Multiples of 8 that lose at most a tenth, as `make_divisible` of the released code."""
    space = proxyless(width_multiplier=multiplier)
    assert [space.blocks[0].channels, space.blocks[1].channels] == [stem, first]
    assert [blocks(space)[i].channels for i in FIRST] == widths
    assert space.blocks[-1].channels == space.blocks[-2].channels == head


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": (24, 40)}, r"equally many stages. Received: widths=\(24, 40\)"),
        ({"widths": (), "blocks": (), "strides": ()}, "equally many stages"),
        ({"blocks": (4, 4, 4, 4, 4, 0)}, "blocks must be integers of at least 1"),
        ({"widths": (24, 40, 80, 96, 192, 3.5)}, "widths must be a list of integers"),
        ({"head_width": 0}, "head_width must be integers"),
        ({"strides": (2, 2, 2, 1, 3, 1)}, "must be 1 or 2. Received: strides="),
        ({"stem_stride": 4}, "stem_stride=4"),
        ({"width_multiplier": 0.0}, "Received: width_multiplier=0.0"),
        ({"width_multiplier": float("inf")}, "Received: width_multiplier=inf"),
    ],
)
def test_refuses(wrong, message):
    with pytest.raises(UserError, match=message):
        proxyless(**wrong)


def test_numpy_integers_are_integers():
    sizes = {"widths": np.array((24, 40)), "blocks": np.array((2, 1)), "strides": np.array((2, 1))}
    others = {"stem_width": np.int64(8), "first_width": np.int32(16), "head_width": np.int64(64)}
    space = proxyless(**sizes, **others, stem_stride=np.int64(1))
    plain = {name: value.tolist() for name, value in {**sizes, **others}.items()}
    assert space == proxyless(**plain, stem_stride=1)
    json.dumps([(block.channels, block.stride) for block in space.blocks])  # NumPy's integers are none of JSON
