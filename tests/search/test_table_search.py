"""Searches on a table, against the exact distribution of the best of random cells."""

import itertools
import math

import numpy as np
import pytest

from launch.table_search import describe
from tf_edd import table_search
from tf_edd.architectures.table import ACCURACIES, Table, load_table
from tf_edd.errors import UserError
from tf_edd.selectors import FinalSize, RandomSearch, RegularizedEvolution, SizeLimits
from tf_edd.spaces import nas_bench_201

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELL = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@pytest.fixture(scope="module")
def made():
    """A table of all cells: each edge adds the number of its operation; what is reported is ten less."""
    archs, rows = {}, {}
    for index, numbers in enumerate(itertools.product(range(5), repeat=6)):
        archs[index] = CELL.format(*(OPERATIONS[number] for number in numbers))
        rows[index] = {name: float(sum(numbers)) for name in ACCURACIES} | {"cifar10_test": sum(numbers) - 10.0}
    return Table(archs, rows, "made")


def test_random_search_finds_the_best_of_random_cells(nb201_table_path):
    """The k-th best of N cells is the best of n different ones with probability C(N - k, n - 1) / C(N, n)."""
    table, n, seeds = load_table(nb201_table_path), 30, 300
    rows = sorted((table.query(index) for index in range(len(table))), key=lambda row: -row["cifar10_valid_12_epochs"])
    size = len(rows)
    chance = np.array([math.comb(size - k, n - 1) / math.comb(size, n) for k in range(1, size - n + 2)])
    np.testing.assert_allclose(chance.sum(), 1)
    found = table_search(table, RandomSearch(n), seeds=range(seeds))
    for name in ("cifar10_valid_12_epochs", "cifar10_test", "cifar100_test", "imagenet16_120_test"):
        values = np.array([row[name] for row in rows[: len(chance)]])
        mean = chance @ values
        spread = math.sqrt(chance @ (values - mean) ** 2)
        assert abs(np.mean([row[name] for row in found]) - mean) < 4 * spread / math.sqrt(seeds)
    assert {row["evaluations"] for row in found} == {n}


def test_evolution_sees_the_column_and_reports_the_others(made):
    seen = table_search(made, RegularizedEvolution(evaluations=1000), column="cifar100_valid", seeds=(0, 1, 2))
    random = table_search(made, RandomSearch(300), column="cifar100_valid", seeds=(0, 1, 2))
    for row, other in zip(seen, random, strict=True):
        assert row["cifar100_valid"] == 24 > other["cifar100_valid"] and row["cifar10_test"] == 14
        assert row["genotype"] == CELL.format(*["avg_pool_3x3"] * 6)
    assert [row["seed"] for row in seen] == [0, 1, 2]


def test_limits_of_size_hold(made):
    limits = SizeLimits(FinalSize(nas_bench_201()), max_parameters=73_306)  # of a network without any convolution
    (row,) = table_search(made, RandomSearch(20, limits=limits))
    assert not {"nor_conv_1x1", "nor_conv_3x3"} & {part.split("~")[0] for part in row["genotype"].split("|")}


def test_what_the_table_does_not_have_is_refused(made):
    with pytest.raises(UserError, match="cifar10_valid.*Received: svhn_test"):
        table_search(made, RandomSearch(5), column="svhn_test")
    with pytest.raises(UserError, match="at least one seed"):
        table_search(made, RandomSearch(5), seeds=())
    with pytest.raises(UserError, match="no such file"):
        table_search("nowhere.csv", RandomSearch(5))


def test_the_program_prints_means_and_spreads():
    rows = [
        {"seed": s, "genotype": f"cell {s}", "evaluations": 3, "cifar10_test": value}
        for s, value in ((0, 90.0), (1, 93.0))
    ]
    printed = describe(rows, cells=True).splitlines()
    assert printed[:2] == ["0     cell 0  90.00 %", "1     cell 1  93.00 %"]
    assert printed[2].split() == ["searches", "2"] and printed[-1].split() == [
        "cifar10_test",
        "91.50",
        "+-",
        "2.12",
        "%",
    ]
    assert describe(rows[:1]).splitlines()[-1].split() == ["cifar10_test", "90.00", "%"]
