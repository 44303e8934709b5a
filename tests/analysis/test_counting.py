"""Parameters and multiply-adds against the records of NATS-Bench and independent arithmetic.

FLOPs of the records are in millions with five decimals; here they are compared as integers, to the last digit.
"""

import itertools

import pytest

from tf_edd.analysis.counting import Counts, activation_memory, count, count_supernet
from tf_edd.architectures.genotype import Genotype, from_text, load
from tf_edd.errors import UserError
from tf_edd.spaces import Block, CellSpec, Edge, Space, darts, darts_imagenet, nas_bench_201, proxyless, s1, s3

CIFAR10 = ((32, 32, 3), 10)
CIFAR100 = ((32, 32, 3), 100)
IMAGENET16 = ((16, 16, 3), 120)
SPACE = nas_bench_201()

# NATS-Bench v1.0, get_cost_info: index, cell, then (parameters, FLOPs) on the three data sets.
RECORDS = [
    (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        [(129_306, 15_647_370), (135_156, 15_653_220), (136_456, 3_919_480)],
    ),
    (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
        [(802_426, 113_951_370), (808_276, 113_957_220), (809_576, 28_495_480)],
    ),
    (
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
        [(101_306, 11_715_210), (107_156, 11_721_060), (108_456, 2_936_440)],
    ),
]

# Cells counted once by another program, FLOPs in units of 100 without the bias of the linear layer: parameters on the
# three data sets, FLOPs on CIFAR-10 and ImageNet16-120.
UNIFORM = {
    "nor_conv_3x3": ([1_531_546, 1_537_396, 1_538_696], [2_201_197, 550_374]),
    "nor_conv_1x1": ([241_306, 247_156, 248_456], [313_760, 78_515]),
    "skip_connect": ([73_306, 79_156, 80_456], [77_830, 19_533]),
    "none": ([73_306, 79_156, 80_456], [77_830, 19_533]),
    "avg_pool_3x3": ([73_306, 79_156, 80_456], [77_830, 19_533]),
}


def uniform(op: str) -> Genotype:
    return from_text(f"|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|", SPACE)


@pytest.mark.parametrize("text, expected", RECORDS)
def test_records_of_the_benchmark(text, expected):
    received = [count(SPACE, from_text(text, SPACE), *task) for task in (CIFAR10, CIFAR100, IMAGENET16)]
    assert received == [Counts(*numbers) for numbers in expected]


@pytest.mark.parametrize("operation", UNIFORM)
def test_cells_of_one_operation(operation):
    parameters, flops = UNIFORM[operation]
    genotype = uniform(operation)
    counts = [count(SPACE, genotype, *task, linear_bias=False) for task in (CIFAR10, CIFAR100, IMAGENET16)]
    assert [c.parameters for c in counts] == parameters
    assert [round(c.multiply_adds / 100) for c in (counts[0], counts[2])] == flops


def test_cell_of_the_benchmarks_manual():
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    counts = count(SPACE, from_text(text, SPACE), *CIFAR10)
    assert counts == Counts(802_426, 113_951_370)


def test_resnet_point_of_the_benchmark(nb201_table_path):
    from tf_edd.architectures.table import load_table

    genotype = from_text(load_table(nb201_table_path).arch(11472), SPACE)
    counts = count(SPACE, genotype, *CIFAR10)
    assert round(counts.parameters / 1e6, 3) == 0.559
    assert round(counts.multiply_adds / 1e6, 2) == 78.56


def test_bias_of_the_linear_layer():
    with_bias, without = (count(SPACE, uniform("none"), *CIFAR100, linear_bias=flag) for flag in (True, False))
    assert with_bias.multiply_adds - without.multiply_adds == 100
    assert with_bias.parameters == without.parameters


def test_supernets():
    assert count_supernet(SPACE, *CIFAR10).parameters == 1_686_106
    assert count_supernet(nas_bench_201(init_channels=24), *CIFAR10).parameters == 3_792_514


@pytest.mark.parametrize(
    "space, classes, expected",
    [
        (darts(), 10, 1_930_618),
        (darts(with_none=False), 10, 1_930_618),
        (darts(), 100, 1_953_748),
        (s1(), 10, 405_146),
        (s3(), 10, 665_466),
    ],
)
def test_supernets_of_the_darts_family(space, classes, expected):
    """The parameter lines of the authors' logs (methods.md 6.2)."""
    assert count_supernet(space, (32, 32, 3), classes).parameters == expected


@pytest.mark.parametrize(
    "name, cifar, cifar_flops, imagenet, imagenet_flops",
    [
        ("DARTS_V1", 3_169_414, 501.0, 4_510_432, 505.9),
        ("DARTS_V2", 3_349_342, 528.4, 4_718_752, 529.9),
        ("PC_DARTS_cifar", 3_634_678, 556.7, 5_270_560, 571.1),
    ],
)
def test_published_cells_of_the_darts_space(name, cifar, cifar_flops, imagenet, imagenet_flops):
    small, large = darts(36, 20), darts_imagenet(48, 14)
    counts = count(small, load(name, small), *CIFAR10, linear_bias=False)
    assert (counts.parameters, round(counts.multiply_adds / 1e6, 1)) == (cifar, cifar_flops)
    counts = count(large, load(name, large), (224, 224, 3), 1000, linear_bias=False)
    assert (counts.parameters, round(counts.multiply_adds / 1e6, 1)) == (imagenet, imagenet_flops)


@pytest.mark.parametrize(
    ("operation", "millions", "multiply_adds"),
    [
        ("mbconv_k3_e3", 3.192, 257.4),
        ("mbconv_k5_e3", 3.276, 284.2),
        ("mbconv_k7_e3", 3.401, 324.4),
        ("mbconv_k3_e6", 4.685, 472.6),
        ("mbconv_k5_e6", 4.852, 526.2),
        ("mbconv_k7_e6", 5.103, 606.6),
    ],
)
def test_mobile_networks_of_one_operation(operation, millions, multiply_adds):
    """Table of methods.md 6.3: parameters with scale and offset of batch norms and the bias of the linear layer.

    Multiply-adds are those of convolutions and of the linear layer, whose bias makes no difference in the digits given.
    """
    space = proxyless()
    genotype = load(",".join([operation] * 21), space)
    for bias in (False, True):
        counts = count(space, genotype, (224, 224, 3), 1000, linear_bias=bias)
        assert round(counts.parameters / 1e6, 3) == millions
        assert round(counts.multiply_adds / 1e6, 1) == multiply_adds
    by_hand = mobile_by_hand(int(operation[8]), int(operation[-1]))
    assert counts == Counts(sum(parameters for parameters, _ in by_hand), sum(flops for _, flops in by_hand))


def mobile_by_hand(kernel, expansion):
    """Parameters with batch norm and multiply-adds of every layer, from the table of methods.md 4.5."""
    layers, side, before = [(27 * 32 + 64, 27 * 32 * 112**2)], 112, 16
    layers += [(9 * 32 + 64, 9 * 32 * 112**2), (32 * 16 + 32, 32 * 16 * 112**2)]
    for width, blocks, stride in ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)):
        for block in range(blocks):
            inner, after = expansion * before, side // (stride if block == 0 else 1)
            layers.append((before * inner + 2 * inner, before * inner * side**2))
            layers.append((kernel**2 * inner + 2 * inner, kernel**2 * inner * after**2))
            layers.append((inner * width + 2 * width, inner * width * after**2))
            before, side = width, after
    assert side == 7
    return [*layers, (320 * 1280 + 2560, 320 * 1280 * 49), (1280 * 1000 + 1000, 1280 * 1000 + 1000)]


def test_mobile_supernet():
    """methods.md 6.3: 16.034168 M with affine batch norms everywhere; those of the supernet's blocks are not."""
    assert count_supernet(proxyless(), (224, 224, 3), 1000, affine=True).parameters == 16_034_168
    widths = [16, *[24] * 4, *[40] * 4, *[80] * 4, *[96] * 4, *[192] * 4, 320]
    norms = sum(2 * (2 * e * before + after) for before, after in itertools.pairwise(widths) for e in (3, 6)) * 3
    assert count_supernet(proxyless(), (224, 224, 3), 1000).parameters == 16_034_168 - norms


def test_blocks_that_are_left_out_cost_nothing():
    space = proxyless()
    operations = ["none" if cell.residual else "mbconv_k3_e3" for cell in space.cells]
    parameters = [parameters for parameters, _ in mobile_by_hand(3, 3)]
    kept = [*parameters[:3], *parameters[-2:]]
    for place, operation in enumerate(operations):
        kept += parameters[3 + 3 * place : 6 + 3 * place] if operation != "none" else []
    assert count(space, load(",".join(operations), space), (224, 224, 3), 1000).parameters == sum(kept)


def test_activation_memory_of_a_mobile_network_by_hand():
    """One block of stride 2 on 8x8 images, with one candidate of expansion 3 and one of 6."""
    edge = Edge(0, 1, ("mbconv_k3_e3", "mbconv_k7_e6"), 2)
    stem, first, head = Block("mobile_stem", 4), Block("mobile_first", 2), Block("mobile_head", 7)
    block = Block("cell", 5, 2, "block")
    space = Space("one", (CellSpec("block", 1, 2, (edge,)),), (stem, first, block, head, Block("classifier", 7)))
    fixed = (64 * 3 + 2 * 64 * 4) + (2 * 64 * 4 + 64 * 2) + (16 * 5 + 2 * 16 * 7)
    bottlenecks = sum(2 * 64 * 2 * e + 2 * 16 * 2 * e + 16 * 5 for e in (3, 6))
    shared = 64 * 2  # the input, which both expansions read
    assert activation_memory(space, (8, 8, 3), 1, 1) == fixed + bottlenecks + shared


def test_activation_memory_of_a_reduction_by_hand():
    """A cell of one node with two candidates, at 8x8 and 4 channels."""
    edges = tuple(Edge(source, 2, ("skip_connect", "max_pool_3x3"), 2) for source in (0, 1))
    cell = CellSpec("reduce", 2, 3, edges, "concat", preprocess=True, pool_norm=True)
    space = Space("one", (cell,), (Block("stem", 4), Block("cell", 4, 2, "reduce"), Block("classifier", 4)))
    big, small = 8 * 8 * 4, 4 * 4 * 4
    stem = 8 * 8 * 3 + big
    preprocessing = 2 * (big + big)  # ReLU and convolution of both inputs
    edges = 2 * (small + big + 2 * small)  # an edge: reduced skip, ReLU, pooled and normalized maps
    assert activation_memory(space, (8, 8, 3), 1, 1) == stem + preprocessing + edges


def test_supernet_does_all_candidates_at_once():
    """The edges' multiply-adds add up, as no operation shares any with another."""
    fixed = count(SPACE, uniform("none"), *CIFAR10).multiply_adds
    parts = [count(SPACE, uniform(op), *CIFAR10).multiply_adds - fixed for op in UNIFORM]
    assert count_supernet(SPACE, *CIFAR10).multiply_adds == fixed + sum(parts)


def test_parameters_do_not_depend_on_the_image_but_on_its_channels():
    genotype = uniform("nor_conv_1x1")
    color, narrow, gray = (count(SPACE, genotype, shape, 10) for shape in ((32, 32, 3), (32, 20, 3), (32, 32, 1)))
    assert color.parameters == narrow.parameters
    assert color.parameters - gray.parameters == 3 * 3 * 2 * 16
    assert color.multiply_adds - gray.multiply_adds == 3 * 3 * 2 * 16 * 32 * 32


def test_odd_image_against_hand_count():
    """Maps of 7x5, then 4x3, then 2x2, as stride 2 with "same" padding rounds up."""
    space = nas_bench_201(init_channels=2, cells_per_stage=1)
    stem = 9 * 1 * 2 * 35
    first = (9 * 2 * 4 + 9 * 4 * 4 + 2 * 4) * 12
    second = (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8) * 4
    expected = stem + first + second + 8 * 3 + 3
    assert count(space, uniform("skip_connect"), (7, 5, 1), 3).multiply_adds == expected


def test_activation_memory_against_hand_count():
    space = nas_bench_201(init_channels=2, cells_per_stage=1)
    maps = [8 * 8 * 2, 4 * 4 * 4, 2 * 2 * 8]
    cells = 21 * sum(maps)
    stem = 8 * 8 * 3 + maps[0]
    reductions = (maps[0] + 3 * maps[1] + 4 * 4 * 2) + (maps[1] + 3 * maps[2] + 2 * 2 * 4)
    expected = stem + cells + reductions + 2 * maps[2]
    assert activation_memory(space, (8, 8, 3), batch_size=5, bytes_per_value=2) == expected * 5 * 2


def test_activation_memory_lies_below_the_measured_peak():
    """A search step of the full supernet at batch 64 in float32 peaks at 1.7 to 1.8 GB, TensorFlow itself included."""
    assert 0.5e9 < activation_memory(SPACE, (32, 32, 3), 64) < 1.7e9


def test_unknown_operation_and_block_are_named():
    edge = Edge(0, 1, ("mystery", "none"))
    space = Space("odd", (CellSpec("cell", 1, 2, (edge,)),), (Block("stem", 4), Block("cell", 4, cell="cell")))
    with pytest.raises(UserError, match="Received: 'mystery'"):
        count_supernet(space, *CIFAR10)
    with pytest.raises(UserError, match="Received: 'roof'"):
        count_supernet(Space("odd", (), (Block("roof", 4),)), *CIFAR10)


def test_refuses_genotype_of_another_space():
    with pytest.raises(UserError, match="Received: one of space 'other'"):
        count(SPACE, Genotype("other", uniform("none").cells), *CIFAR10)
