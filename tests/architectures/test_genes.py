"""Genes: every genotype once, uniform draws, mutation and crossover, on every kind of space."""

import collections
import itertools
import math

import numpy as np
import pytest
import scipy.stats

from tf_edd import spaces
from tf_edd.architectures.genes import Genes, sample_genotype
from tf_edd.architectures.genotype import load
from tf_edd.errors import UserError
from tf_edd.spaces import CellSpec, Edge, Space

SPACES = [spaces.nas_bench_201(), spaces.darts(), spaces.darts(with_none=False), spaces.s1(), spaces.s3(), spaces.s4()]
each_space = pytest.mark.parametrize("space", SPACES, ids=[space.name for space in SPACES])
rng = np.random.default_rng


def small_family() -> Space:
    """A node that keeps two of three edges, of which one has `none`: C(3, 2) pairs with 2 x 3, 2 x 3 and 3 x 3."""
    edges = (Edge(0, 2, ("none", "a", "b")), Edge(1, 2, ("none", "a", "b")))
    more = (Edge(0, 3, ("none", "a", "b")), Edge(1, 3, ("a", "b", "c")), Edge(2, 3, ("c", "d", "e")))
    cell = CellSpec("cell", 2, 4, edges + more, output="concat", edges_per_node=2, excluded=("none",))
    return Space("small", (cell,), ())


def test_counts_of_the_literature():
    """15,625 cells (NAS-Bench-201); 10^18 in the DARTS space: (prod_n C(n+1, 2) 7^2)^2 (Liu et al., section 3.1)."""
    assert Genes(spaces.nas_bench_201()).num_genotypes == 15_625
    cells = math.prod(math.comb(n + 1, 2) * 7**2 for n in range(1, 5))
    assert Genes(spaces.darts()).num_genotypes == Genes(spaces.darts(with_none=False)).num_genotypes == cells**2
    assert Genes(small_family()).num_genotypes == (2 * 2) * (2 * 3 + 2 * 3 + 3 * 3)


def test_every_genotype_once():
    for space in (spaces.nas_bench_201(), small_family()):
        genes = Genes(space)
        codes = itertools.product(*(range(len(gene.choices)) for gene in genes.genes))
        genotypes = {genes.decode(code).check(space) for code in codes}
        assert len(genotypes) == genes.num_genotypes


@each_space
def test_draws_are_valid_and_codes_return(space):
    genes, generator = Genes(space), rng(0)
    for _ in range(50):
        code = genes.sample(generator)
        assert genes.encode(genes.decode(code).check(space)) == code
    assert sample_genotype(space, rng(1)) == genes.decode(genes.sample(rng(1)))


def test_draws_are_uniform_over_genotypes():
    space = small_family()
    generator, draws = rng(3), 8400
    counts = collections.Counter(sample_genotype(space, generator) for _ in range(draws))
    assert len(counts) == 84
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_published_cells_have_a_code():
    """Their edges are not sorted by the source."""
    space = spaces.darts()
    for name in ("DARTS_V1", "DARTS_V2"):
        genotype, genes = load(name, space), Genes(space)
        returned = genes.decode(genes.encode(genotype))
        for cell_type, nodes in genotype.cells:
            assert [set(node) for node in nodes] == [set(node) for node in returned.nodes(cell_type)]


def test_a_mutation_draws_each_gene_anew_with_its_probability():
    """A gene of O choices keeps its value with probability 1 - p + p / O, and takes each other one with p / O."""
    genes, generator, draws, p = Genes(spaces.nas_bench_201()), rng(5), 4000, 0.1
    code = (0, 1, 2, 3, 4, 0)
    children = np.array([genes.mutate(code, p, generator) for _ in range(draws)])
    for place, value in enumerate(code):
        expected = np.full(5, draws * p / 5)
        expected[value] += draws * (1 - p)
        counts = np.bincount(children[:, place], minlength=5)
        assert scipy.stats.chisquare(counts, expected).pvalue > 1e-4
    changed = (children != code).sum(axis=1)  # independent genes: a binomial number of changes
    expected = scipy.stats.binom(6, p * 4 / 5).pmf(np.arange(4)) * draws
    counts = np.bincount(changed, minlength=7)
    assert (
        scipy.stats.chisquare([*counts[:3], counts[3:].sum()], [*expected[:3], draws - expected[:3].sum()]).pvalue
        > 1e-4
    )


def test_one_gene_takes_each_other_choice_equally_often():
    genes, generator, draws = Genes(spaces.nas_bench_201()), rng(6), 4800
    code = (0, 1, 2, 3, 4, 0)
    children = np.array([genes.change_one(code, generator) for _ in range(draws)])
    assert np.all((children != code).sum(axis=1) == 1)
    kinds = collections.Counter(
        (int(place), int(child[place])) for child in children for place in np.flatnonzero(child != code)
    )
    assert len(kinds) == 6 * 4 and scipy.stats.chisquare(list(kinds.values())).pvalue > 1e-4


def test_a_gene_without_another_choice_is_never_changed():
    edges = (Edge(0, 1, ("a", "none")), Edge(0, 2, ("a", "b")), Edge(1, 2, ("a", "none")))
    genes = Genes(Space("narrow", (CellSpec("cell", 1, 3, edges, excluded=("none",)),), ()))
    assert genes.change_one((0, 0, 0), rng(8)) == (0, 1, 0)
    alone = Genes(Space("alone", (CellSpec("cell", 1, 2, edges[:1], excluded=("none",)),), ()))
    assert alone.change_one((0,), rng(8)) == (0,)


def test_a_crossover_takes_each_gene_from_either_parent():
    genes, generator, draws = Genes(spaces.nas_bench_201()), rng(7), 2000
    first, second = (0,) * 6, (4,) * 6
    children = np.array([genes.cross(first, second, generator) for _ in range(draws)])
    assert set(np.unique(children)) == {0, 4}
    patterns = collections.Counter(map(tuple, children))
    assert len(patterns) == 64 and scipy.stats.chisquare(list(patterns.values())).pvalue > 1e-4


def test_bad_input():
    cell = CellSpec("cell", 1, 2, (Edge(0, 1, ("none",)),), excluded=("none",))
    with pytest.raises(UserError, match="needs an operation that is not excluded"):
        Genes(Space("empty", (cell,), ()))
    with pytest.raises(UserError, match="Expected a genotype of space"):
        Genes(spaces.s2()).encode(load("DARTS_V2", spaces.darts()))
