"""Kendall's tau against a count of pairs, its interval against a simulation, the sample of cells, the figure."""

import itertools
import json
import math

import numpy as np
import pytest

from tf_edd.analysis import figure_files, ranking
from tf_edd.architectures.genotype import from_text
from tf_edd.architectures.table import open_table
from tf_edd.errors import UserError
from tf_edd.spaces import nas_bench_201


def counted(first, second):
    """Tau-b by looking at every pair."""
    concordant = discordant = only_first = only_second = 0
    for (a, b), (c, d) in itertools.combinations(zip(first, second, strict=True), 2):
        product = (a - c) * (b - d)
        concordant += product > 0
        discordant += product < 0
        only_first += a == c and b != d
        only_second += b == d and a != c
    pairs = concordant + discordant
    return (concordant - discordant) / math.sqrt((pairs + only_first) * (pairs + only_second))


def test_equals_the_count_of_pairs_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(3):
        first, second = rng.integers(0, 8, 30) / 8, rng.integers(0, 8, 30) * 1.0
        assert ranking.kendall_tau(first, second, resamples=50).tau == pytest.approx(counted(first, second), abs=1e-12)


def test_by_hand():
    """One swap of neighbours in ten: 44 concordant pairs, 1 discordant."""
    second = [1, 2, 3, 4, 5, 6, 7, 8, 10, 9]
    assert ranking.kendall_tau(range(10), second, resamples=50).tau == pytest.approx(43 / 45)


def test_the_interval_covers_the_tau_of_the_population():
    """A bivariate normal distribution of correlation r has tau = 2 asin(r) / pi; 95 % of the intervals hold it."""
    rng, r, hits, widths = np.random.default_rng(1), 0.7, 0, []
    for _ in range(40):
        first, noise = rng.normal(size=(2, 40))
        result = ranking.kendall_tau(first, r * first + math.sqrt(1 - r * r) * noise, resamples=100)
        hits += result.low <= 2 * math.asin(r) / math.pi <= result.high
        widths.append(result.high - result.low)
        assert result.low <= result.tau <= result.high
    assert 33 <= hits <= 40 and np.mean(widths) < 0.5  # 38 expected, three standard deviations are 4


def test_the_seed_decides_and_more_confidence_is_wider():
    first, second = np.random.default_rng(2).normal(size=(2, 30))
    results = [ranking.kendall_tau(first, second + first, confidence, 300, seed=4) for confidence in (0.8, 0.8, 0.95)]
    assert results[0] == results[1]
    assert results[2].low < results[0].low < results[0].high < results[2].high


def test_equal_orders_have_an_interval():
    result = ranking.kendall_tau(range(20), range(20), resamples=50)
    assert (result.tau, result.low, result.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("first, second", [(range(9), range(9)), (range(20), range(19)), (range(20), [3.0] * 20)])
def test_bad_values(first, second):
    with pytest.raises(UserError, match="A ranking needs"):
        ranking.kendall_tau(list(first), list(second))


def test_the_sample_is_what_its_file_says():
    content = json.loads(ranking.CELLS.read_text(encoding="utf-8"))
    assert set(content) == {"space", "seed", "drawn", "cells"} and {"index", "cell"} == set(content["cells"][0])
    drawn = np.random.default_rng(content["seed"]).choice(15_625, 200, replace=False)
    assert [entry["index"] for entry in content["cells"]] == drawn.tolist()
    cells = {from_text(cell, nas_bench_201()) for cell in ranking.ranking_cells()}
    assert len(cells) == 200


def test_the_indices_are_those_of_the_benchmark(nb201_table_path):
    table = open_table(nb201_table_path)
    for entry in json.loads(ranking.CELLS.read_text(encoding="utf-8"))["cells"]:
        assert table.arch(entry["index"]) == entry["cell"]


def test_the_figure_has_a_point_for_each_cell():
    first, second = np.random.default_rng(2).random((2, 25))
    tau = ranking.kendall_tau(first, second, resamples=50)
    figure = ranking.draw_ranking(first, second * 100, tau, np.full(25, 1_000_000), "cifar10_test")
    accuracy, rank = (axes.collections[0].get_offsets() for axes in figure.axes[:2])
    np.testing.assert_allclose(accuracy, np.stack([first, second], 1) * 100)
    assert sorted(rank[:, 0]) == sorted(rank[:, 1]) == list(range(1, 26))
    assert np.ptp(figure_files.to_image(figure)) > 100


def test_cells_far_below_all_others_do_not_squeeze_the_rest():
    random = np.random.default_rng(2)
    first, second = random.random(100), 90 + 5 * random.random(100)
    second[7] = 10.0
    tau = ranking.kendall_tau(first, second, resamples=50)
    axes = ranking.draw_ranking(first, second, tau, np.full(100, 1_000_000), "cifar10_test").axes[0]
    assert 85 < axes.get_ylim()[0] < 90 and axes.get_ylim()[1] > second.max()
    assert axes.get_title(loc="left") == "A  accuracy (1 below the axis: triangles)"
    (triangle,) = axes.get_lines()
    np.testing.assert_allclose(triangle.get_xdata(), [100 * first[7]])


def test_the_title_of_the_ranks_does_not_reach_the_color_bar():
    first, second = np.random.default_rng(2).random((2, 25))
    tau = ranking.kendall_tau(first, second, resamples=50)
    figure = ranking.draw_ranking(first, second * 100, tau, np.full(25, 1_000_000), "cifar10_test")
    figure.canvas.draw()
    bar = figure.axes[2].get_window_extent()
    titles = [axes._left_title.get_window_extent() for axes in figure.axes[:2]]
    assert max(title.x1 for title in titles) < bar.x0
    assert str(tau) in figure.get_suptitle()
