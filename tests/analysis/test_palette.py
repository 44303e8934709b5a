"""Colors and styles of the figures."""

import itertools

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tf_edd.analysis import palette


def test_families_differ_in_color():
    names = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert len({palette.color(name) for name in names}) == 5
    assert palette.family("sep_conv_5x5") == "convolution" and palette.label("sep_conv_5x5") == "sep conv 5×5"
    assert palette.family("max_pool_3x3") == "pooling" and palette.family("noise") == "noise"
    assert palette.color("dil_conv_3x3") != palette.color("sep_conv_3x3") != palette.color("noise")


def test_the_first_methods_have_no_color_of_a_measure():
    measures = {palette.SUPERNET, palette.DISCRETIZED}
    assert len(set(palette.METHODS)) == len(palette.METHODS)
    assert measures.isdisjoint(palette.METHODS[:4]) and measures.isdisjoint(palette.PARTS.values())


def test_parts_of_the_images_can_be_told_apart():
    for first, second in itertools.combinations(palette.PARTS.values(), 2):
        assert max(abs(a - b) for a, b in zip(to_rgb(first), to_rgb(second), strict=True)) > 0.15


@pytest.mark.parametrize("last", [1, 2, 12, 25, 30, 100, 203, 600])
def test_the_first_and_the_last_epoch_are_labeled(last):
    axes = Figure().subplots()
    axes.plot([1, last], [0, 1])
    palette.epoch_axis(axes, last)
    ticks = list(axes.get_xticks())
    assert ticks[0] == 1 and ticks[-1] == last and len(ticks) <= 14
    assert all(tick == int(tick) for tick in ticks)
    assert last == 1 or min(b - a for a, b in itertools.pairwise(ticks)) >= max(1, 0.03 * last)
