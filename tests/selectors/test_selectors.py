"""Selectors: they find what they should, keep the rules of their draws, and continue from a log to the bit."""

import numpy as np
import pytest

from tf_edd import spaces
from tf_edd.analysis.counting import count
from tf_edd.architectures.genes import Genes
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.selectors import EvolutionarySearch, FinalSize, RandomSearch, RegularizedEvolution, SizeLimits

SPACE = spaces.darts(4, 3)
NB201 = spaces.nas_bench_201()
LARGE = SizeLimits(FinalSize(NB201, (32, 32, 3), 10), max_parameters=1e9)
SMALL = {"population": 20, "generations": 8, "mutants": 10, "crossovers": 10}
AGING = {"population": 20, "sample_size": 5, "evaluations": 160}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """A thousand flushes to the disk are most of the time of these tests."""
    monkeypatch.setattr(files.os, "fsync", lambda handle: None)


class Stop(Exception):
    """Stands for a kill."""


class Separable:
    """The sum of a random worth of each choice of each gene; counts its calls and may stop at one."""

    def __init__(self, space=SPACE, seed=0, stop_at=None):
        self.genes, self.stop_at, self.asked = Genes(space), stop_at, []
        draw = np.random.default_rng(seed)
        self.worth = [draw.random(len(gene.choices)) for gene in self.genes.genes]

    def __call__(self, genotype):
        if len(self.asked) == self.stop_at:
            raise Stop
        self.asked.append(genotype)
        return float(sum(worth[i] for worth, i in zip(self.worth, self.genes.encode(genotype), strict=True)))

    @property
    def optimum(self):
        return self.genes.decode([int(worth.argmax()) for worth in self.worth])


def select(selector, folder, fitness, space=SPACE, seed=0, **more):
    return selector(space, fitness, seed=seed, log_path=folder / "selection.jsonl", **more)


def records(folder):
    return files.read_lines(folder / "selection.jsonl")[1:]


def test_finds_the_optimum_of_a_separable_fitness(tmp_path):
    fitness = Separable(NB201)
    assert select(EvolutionarySearch(), tmp_path, fitness, NB201) == fitness.optimum
    assert len(fitness.asked) == 50 * 20


def test_is_better_than_random_search_with_as_many_evaluations(tmp_path):
    """In 10^9 genotypes: the means over five fixed seeds, and each seed for itself."""
    values = {}
    selectors = {"evolution": EvolutionarySearch(**SMALL), "aging": RegularizedEvolution(**AGING)}
    for name, selector in {**selectors, "random": RandomSearch(160)}.items():
        values[name] = []
        for seed in range(5):
            (folder := tmp_path / f"{name}{seed}").mkdir()
            fitness = Separable(seed=seed)
            best = select(selector, folder, fitness, seed=seed)
            asked = [record["fitness"] for record in records(folder)]
            values[name].append(fitness(best))
            assert len(asked) == 160 and values[name][-1] == max(asked)
    for name in selectors:
        assert np.all(np.array(values[name]) > values["random"])


@pytest.mark.parametrize("selector", [EvolutionarySearch(**SMALL), RandomSearch(160), RegularizedEvolution(**AGING)])
def test_no_candidate_twice(tmp_path, selector):
    fitness = Separable(NB201)
    select(selector, tmp_path, fitness, NB201)
    assert len(set(fitness.asked)) == len(fitness.asked) == 160


def test_generations_are_made_as_asked(tmp_path):
    """In a large space nothing is met twice by chance, so that each generation has all its children."""
    fitness = Separable()
    select(EvolutionarySearch(10, 4, parents=3, mutants=5, crossovers=2, mutation_probability=0.5), tmp_path, fitness)
    origins = [record["origin"] for record in records(tmp_path)]
    assert origins == ["random"] * 10 + (["mutation"] * 5 + ["crossover"] * 2 + ["random"] * 3) * 3
    assert [record["generation"] for record in records(tmp_path)] == [n // 10 for n in range(40)]


def test_children_come_from_the_best_so_far(tmp_path):
    """A crossover has each gene from one of the three best cells of all earlier generations."""
    fitness = Separable()
    select(EvolutionarySearch(10, 4, parents=3, mutants=0, crossovers=7), tmp_path, fitness)
    codes = [fitness.genes.encode(genotype) for genotype in fitness.asked]
    values = [record["fitness"] for record in records(tmp_path)]
    for generation in (1, 2, 3):
        start = 10 * generation
        parents = [codes[i] for i in sorted(range(start), key=lambda i: -values[i])[:3]]
        for place in range(start, start + 10):
            if records(tmp_path)[place]["origin"] == "crossover":
                assert all(
                    gene in column for gene, column in zip(codes[place], zip(*parents, strict=True), strict=True)
                )


@pytest.mark.parametrize("sample_size", [1, 500])
def test_the_oldest_member_dies_and_the_best_of_the_sample_breeds(tmp_path, sample_size):
    """In a large space a child is new, so the members are the last ten cells. A sample of 500 has all of them."""
    fitness = Separable()
    select(RegularizedEvolution(10, sample_size, evaluations=60), tmp_path, fitness)
    codes = np.array([fitness.genes.encode(genotype) for genotype in fitness.asked])
    values = [record["fitness"] for record in records(tmp_path)]
    assert [record["origin"] for record in records(tmp_path)] == ["random"] * 10 + ["mutation"] * 50
    ranks = []
    for place in range(10, 60):
        changed = (codes[place - 10 : place] != codes[place]).sum(axis=1)
        assert changed.min() == 1
        order = np.argsort([-value for value in values[place - 10 : place]])
        ranks.append(int(np.flatnonzero(changed[order] == 1)[0]))
    assert (max(ranks) == 0) == (sample_size == 500)


def test_a_known_child_costs_nothing_and_a_small_space_is_exhausted(tmp_path):
    cell = spaces.CellSpec("cell", 1, 2, (spaces.Edge(0, 1, ("a", "b", "c", "d")),))
    space = spaces.Space("four", (cell,), ())
    fitness = Separable(space)
    assert select(RegularizedEvolution(2, 2, evaluations=50), tmp_path, fitness, space) == fitness.optimum
    assert len(fitness.asked) == 4


def test_tries_end_when_nothing_new_can_be_bred(tmp_path):
    """Mutants that never change are their parents: all of a generation is drawn at random."""
    fitness = Separable(NB201)
    select(EvolutionarySearch(10, 3, mutants=5, crossovers=0, mutation_probability=0.0), tmp_path, fitness, NB201)
    assert {record["origin"] for record in records(tmp_path)} == {"random"} and len(fitness.asked) == 30


def test_a_small_space_is_exhausted(tmp_path):
    cell = spaces.CellSpec("cell", 1, 2, (spaces.Edge(0, 1, ("a", "b", "c")),))
    space = spaces.Space("three", (cell,), ())
    fitness = Separable(space)
    assert select(EvolutionarySearch(), tmp_path, fitness, space) == fitness.optimum
    assert len(fitness.asked) == 3


@pytest.mark.parametrize(
    "make, more",
    [(EvolutionarySearch, SMALL), (RandomSearch, {"evaluations": 160}), (RegularizedEvolution, AGING)],
)
def test_limits_hold_for_the_final_network(tmp_path, make, more):
    """The limit is the median of random cells at the size of the final network, ten times that of the supernet."""
    final = spaces.nas_bench_201(16, 5)
    genes, draw = Genes(final), np.random.default_rng(0)
    sizes = [count(final, genes.decode(genes.sample(draw)), (32, 32, 3), 10).parameters for _ in range(99)]
    limit = int(np.median(sizes))
    size, fitness = FinalSize(final, (32, 32, 3), 10), Separable(NB201)
    select(make(**more, limits=SizeLimits(size, max_parameters=limit)), tmp_path, fitness, spaces.nas_bench_201(4, 1))
    counted = [count(final, genotype, (32, 32, 3), 10) for genotype in fitness.asked]
    assert len(counted) == 160 and max(counts.parameters for counts in counted) <= limit
    assert [record["parameters"] for record in records(tmp_path)] == [counts.parameters for counts in counted]
    assert [record["multiply_adds"] for record in records(tmp_path)] == [counts.multiply_adds for counts in counted]


def test_limits_that_no_cell_satisfies(tmp_path):
    """The smallest network of NAS-Bench-201 has 73,306 parameters (its record of index 1462 or any without edges)."""
    size = FinalSize(NB201, (32, 32, 3), 10)
    selector = RandomSearch(10, 50, SizeLimits(size, max_parameters=1000, max_multiply_adds=1e9))
    told = "'parameters': 73306.*max_parameters=1000, max_multiply_adds=1e"
    with pytest.raises(UserError, match=told):
        select(selector, tmp_path, Separable(NB201), NB201)
    with pytest.raises(UserError, match=told):
        selector.prepare(NB201, (32, 32, 3), 10, seed=0)


@pytest.mark.parametrize("make", [EvolutionarySearch, RandomSearch, RegularizedEvolution])
def test_limits_are_for_the_images_of_the_search_unless_told(make):
    """The linear layer of NAS-Bench-201 has 64 weights and a bias a class, 65 parameters."""
    cell = Genes(NB201).decode([0] * 6)
    sizes = [FinalSize(NB201), FinalSize(NB201, num_classes=10), FinalSize(NB201, (16, 16, 3), 10)]
    limits = [make(limits=SizeLimits(size)).prepare(NB201, (32, 32, 3), 100, seed=0).limits for size in sizes]
    hundred, ten, small = (limit.count(cell) for limit in limits)
    assert hundred["parameters"] - ten["parameters"] == 90 * 65
    assert small["parameters"] == ten["parameters"] and small["multiply_adds"] < ten["multiply_adds"] / 3
    with pytest.raises(UserError, match="needs image_shape and num_classes"):
        FinalSize(NB201)(cell)


def test_preparing_takes_the_first_draws_of_the_selection(tmp_path):
    """With one try: the cell that a selection with this seed draws first is allowed, and one parameter less is not."""
    size = FinalSize(NB201, (32, 32, 3), 10)
    select(RandomSearch(1), tmp_path, fitness := Separable(NB201), NB201, seed=4)
    limit = size(fitness.asked[0]).parameters
    RandomSearch(1, 1, SizeLimits(size, limit)).prepare(NB201, (32, 32, 3), 10, seed=4)
    with pytest.raises(UserError, match="No cell satisfies the limits: the smallest counts of 1 random cells"):
        RandomSearch(1, 1, SizeLimits(size, limit - 1)).prepare(NB201, (32, 32, 3), 10, seed=4)


@pytest.mark.parametrize(
    "make",
    [lambda: EvolutionarySearch(**SMALL), lambda: RandomSearch(160), lambda: RegularizedEvolution(**AGING)],
    ids=["evolution", "random", "regularized evolution"],
)
def test_stopped_anywhere_it_ends_the_same(tmp_path, make):
    (tmp_path / "whole").mkdir()
    expected = select(make(), tmp_path / "whole", Separable())
    whole = (tmp_path / "whole" / "selection.jsonl").read_bytes()
    asked = 0
    for stop in (0, 1, 19, 20, 33, 50):
        fitness = Separable(stop_at=stop)
        with pytest.raises(Stop):
            select(make(), tmp_path, fitness)
        asked += len(fitness.asked)
        path = tmp_path / "selection.jsonl"
        if stop == 33:  # a kill in the middle of a line
            path.write_bytes(path.read_bytes()[:-7])
            asked -= 1
    fitness = Separable()
    assert select(make(), tmp_path, fitness) == expected
    assert (tmp_path / "selection.jsonl").read_bytes() == whole
    assert asked + len(fitness.asked) == 160
    again = Separable()
    assert select(make(), tmp_path, again) == expected and not again.asked


def test_the_log_of_another_selection_is_refused(tmp_path):
    select(RandomSearch(10), tmp_path, Separable(NB201), NB201, settings={"batch_size": 64})
    before = (tmp_path / "selection.jsonl").read_bytes()
    for changes, told in [
        ({"selector": RandomSearch(11)}, "evaluations: started with 10, received 11"),
        ({"seed": 1}, "seed: started with 0, received 1"),
        ({"settings": {"batch_size": 32}}, "batch_size: started with 64, received 32"),
        ({"space": SPACE}, "space: started with 'nas_bench_201', received 'darts'"),
        ({"selector": RandomSearch(10, limits=LARGE)}, "max_parameters: started with 'None', received '1000000000.0'"),
    ]:
        arguments = {"selector": RandomSearch(10), "space": NB201, "settings": {"batch_size": 64}, **changes}
        with pytest.raises(UserError) as error:
            select(folder=tmp_path, fitness=Separable(arguments["space"]), **arguments)
        assert f"  {told}" in str(error.value).splitlines(), error.value
    assert (tmp_path / "selection.jsonl").read_bytes() == before


def test_other_workers_write_nothing_and_choose_the_same(tmp_path):
    with pytest.raises(Stop):
        select(RandomSearch(30), tmp_path, Separable(NB201, stop_at=7), NB201)
    before = (tmp_path / "selection.jsonl").read_bytes()
    worker = Separable(NB201)
    chosen = select(RandomSearch(30), tmp_path, worker, NB201, chief=False)
    assert len(worker.asked) == 23 and (tmp_path / "selection.jsonl").read_bytes() == before
    assert chosen == select(RandomSearch(30), tmp_path, Separable(NB201), NB201)


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: EvolutionarySearch(population=0), "population must be an integer of at least 1"),
        (lambda: EvolutionarySearch(mutants=40), "must fit into population=50"),
        (lambda: EvolutionarySearch(mutation_probability=1.5), r"mutation_probability must lie in \[0, 1\]"),
        (lambda: EvolutionarySearch(mutants=-1), "mutants must be an integer of at least 0"),
        (lambda: RandomSearch(evaluations=0.5), "evaluations must be"),
        (lambda: RegularizedEvolution(sample_size=0), "sample_size must be an integer of at least 1"),
        (
            lambda: RegularizedEvolution(evaluations=9),
            "population must be at most evaluations=9. Received: population=10",
        ),
        (lambda: EvolutionarySearch(recalibration_batches=0), "recalibration_batches must be an integer of at least 1"),
        (lambda: SizeLimits(max_parameters=1e6), "A limit needs `size`"),
        (
            lambda: SizeLimits(FinalSize(NB201), max_parameters="1e6"),
            "max_parameters must be a number or None",
        ),
    ],
)
def test_bad_arguments(make, told):
    with pytest.raises(UserError, match=told):
        make()


def test_a_fitness_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(UserError, match="finite fitness. Received: nan"):
        select(RandomSearch(10), tmp_path, lambda genotype: float("nan"))


@pytest.mark.parametrize("selector", [EvolutionarySearch(**SMALL), RandomSearch(160), RegularizedEvolution(**AGING)])
def test_a_log_with_more_lines_than_the_selection_makes_is_refused(tmp_path, selector):
    select(selector, tmp_path, Separable())
    files.append_line(tmp_path / "selection.jsonl", records(tmp_path)[-1])
    with pytest.raises(UserError, match="Expected 160 measurements in .*selection.jsonl. Received: 161"):
        select(selector, tmp_path, Separable())
