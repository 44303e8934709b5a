"""Selectors: which cell of a trained supernet is the best, by evolution or by random search.

    selector(space, fitness, seed=..., log_path=...) -> Genotype

They ask `fitness` for the value of one candidate after the other, never twice for the same, and never for one above
the limits of size. Every value is kept in a log as it comes; a selection that is started again with the same
arguments repeats its random draws, takes the values that are there from the log, and ends as if never interrupted.

Evolution is that of single path one-shot (Guo et al., ECCV 2020, https://arxiv.org/abs/1904.00420), released code,
`src/Search/search.py`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Protocol

import gin
import numpy as np

from tf_edd.architectures.genes import Code, Genes
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.runtime.evaluation_log import EvaluationLog
from tf_edd.runtime.progress import Progress
from tf_edd.selectors.size_limits import FinalSize, Limits
from tf_edd.spaces.space import Space

Fitness = Callable[[Genotype], float]
_STREAM = 0xE  # tells these random numbers from those of the logits, which have the same seed
_ROUND = 50  # evaluations of a random search between two reports


class Selector(Protocol):
    """Chooses a genotype by the values of some."""

    def prepare(self, space: Space, image_shape: tuple[int, int, int], num_classes: int, seed: int) -> "Selector":
        """The selector for a search in this space and of such images; what is wrong with it is told here.

        Raises:
            UserError: it does not fit, or would find no cell.
        """

    def __call__(
        self, space: Space, fitness: Fitness, *, seed: int, log_path, settings: Mapping = ..., chief: bool = True
    ) -> Genotype:
        """The best of the genotypes that were evaluated, of equals the first.

        Args:
            space: the genotypes to choose from.
            fitness: genotype -> value, higher is better, finite.
            seed: of the draws.
            log_path: file of JSON lines with all values, see `tf_edd.runtime.evaluation_log`.
            settings: JSON-able, what `fitness` depends on; a log with other settings is refused.
            chief: whether this process writes.
        """


class _Limited:
    """What selectors with `limits` and `random_tries` share."""

    def prepare(self, space, image_shape, num_classes, seed):
        """See `Selector`; tries the limits on the first random cells of a selection with this seed."""
        limits = self.limits.filled(image_shape, num_classes)
        limits.check(space, _generator(seed), self.random_tries)
        return dataclasses.replace(self, limits=limits)


class Trials:
    """The candidates that one selection has met, and their values.

    Args:
        space: the space.
        fitness: genotype -> value.
        limits: what is not evaluated.
        log: keeps the values.
        progress: is told of values that no log had.
    """

    def __init__(self, space: Space, fitness: Fitness, limits: Limits, log: EvaluationLog, progress: Progress):
        self.genes = Genes(space)
        self._fitness, self._limits, self._log, self._progress = fitness, limits, log, progress
        self._met: set[Code] = set()
        self._smallest: dict[str, int] = {}
        self._values: dict[Code, float] = {}
        self._round, self._news = 0, False

    def __len__(self):
        return len(self._values)

    def best(self, number: int) -> list[Code]:
        """The best candidates so far, of equals the first evaluated."""
        return sorted(self._values, key=lambda code: -self._values[code])[:number]

    def take(self, code: Code, origin: str) -> bool:
        """Evaluates a candidate if it is new and within the limits; returns whether it was."""
        if code in self._met:
            return False
        self._met.add(code)
        genotype = self.genes.decode(code)
        counts = self._limits.count(genotype)
        if not self._limits.allow(counts):
            self._smallest = {name: min(value, self._smallest.get(name, value)) for name, value in counts.items()}
            return False
        self._values[code] = self._value(genotype, {"generation": self._round, "origin": origin, **counts})
        return True

    def _value(self, genotype: Genotype, details: Mapping) -> float:
        known = self._log.left > 0
        value = self._log(str(genotype), lambda: self._fitness(genotype), **details)
        if not known:
            self._news = True
            self._progress.step(values=lambda: {"best": max(value, *self._values.values(), -math.inf)})
        return value

    def children(self, propose: Callable[[], Code], wanted: int, tries: int, origin: str) -> None:
        """Evaluates up to `wanted` of at most `tries` proposals."""
        taken = 0
        for _ in range(tries):
            if taken == wanted:
                return
            taken += self.take(propose(), origin)

    def fill(self, rng: np.random.Generator, total: int, patience: int) -> None:
        """Evaluates random candidates up to `total` in all, or until `patience` draws in a row bring no new one.

        Raises:
            UserError: nothing could be evaluated.
        """
        failures = 0
        while len(self) < total and failures < patience:
            failures = 0 if self.take(self.genes.sample(rng), "random") else failures + 1
        if not self._values:
            raise self._limits.nothing_left(patience, self._smallest)

    def end_round(self) -> None:
        """Reports the best so far, unless the log had the whole generation."""
        if self._news:
            self._progress.end_epoch({"best": max(self._values.values()), "evaluated": len(self)})
        self._round, self._news = self._round + 1, False


@dataclasses.dataclass(frozen=True)
class EvolutionarySearch(_Limited):
    """See `evolutionary_search`, whose arguments are its attributes."""

    population: int
    generations: int
    parents: int
    mutants: int
    crossovers: int
    mutation_probability: float
    tries: int
    random_tries: int
    limits: Limits

    def __call__(self, space, fitness, *, seed, log_path, settings=None, chief=True) -> Genotype:
        """The best genotype, see `Selector`."""
        log, rng = _open(self, space, seed, log_path, settings, chief), _generator(seed)
        with Progress("evolution", self.generations, self.population, log.left) as progress:
            trials = Trials(space, fitness, self.limits, log, progress)
            for _ in range(self.generations):
                total = len(trials) + self.population
                self._breed(trials, rng)
                trials.fill(rng, total, self.random_tries)
                trials.end_round()
        return trials.genes.decode(trials.best(1)[0])

    def _breed(self, trials: Trials, rng: np.random.Generator) -> None:
        """The mutants and crossovers of a generation; the first one has no parents."""
        parents = trials.best(self.parents)
        if not parents:
            return

        def parent():
            return parents[rng.integers(len(parents))]

        def mutant():
            return trials.genes.mutate(parent(), self.mutation_probability, rng)

        def crossover():
            return trials.genes.cross(parent(), parent(), rng)

        trials.children(mutant, self.mutants, self.tries * self.mutants, "mutation")
        trials.children(crossover, self.crossovers, self.tries * self.crossovers, "crossover")


@gin.configurable(module="tf_edd.selectors.evolution")
def evolutionary_search(
    population: int = 50,
    generations: int = 20,
    parents: int = 10,
    mutants: int = 25,
    crossovers: int = 25,
    mutation_probability: float = 0.1,
    tries: int = 10,
    random_tries: int = 1000,
    final_size: FinalSize | None = None,
    max_parameters: float | None = None,
    max_multiply_adds: float | None = None,
) -> EvolutionarySearch:
    """Evolution: each generation is bred from the best candidates of all generations before it.

    A mutant is a random parent whose genes are each drawn anew with `mutation_probability`; a crossover takes each
    gene from one of two random parents. What misses to `population` is drawn at random, the whole first generation
    too. `population * generations` evaluations (1000) if the space has as many cells.

    Args:
        population: evaluations of a generation.
        generations: generations, the random one included.
        parents: best candidates so far that breed.
        mutants: wanted mutants of a generation.
        crossovers: wanted crossovers of a generation.
        mutation_probability: of each gene.
        tries: proposals for each wanted mutant or crossover; those that are known or too large are in vain.
        random_tries: random draws in a row without a new candidate after which a generation ends smaller.
        final_size: the final network in which the limits are meant, and whose counts join the log.
        max_parameters: limit of its learned parameters.
        max_multiply_adds: limit of its multiply-adds.

    Raises:
        UserError: a count below 1, a probability outside 0 to 1, more children than `population`, a limit without
            `final_size`.

    Source: methods of Guo et al., https://arxiv.org/abs/1904.00420, section 3.4, and the released code, whose values
    the defaults are.
    """
    _check_counts(population=population, generations=generations, parents=parents, tries=tries)
    _check_counts(0, mutants=mutants, crossovers=crossovers)
    _check_counts(random_tries=random_tries)
    if mutants + crossovers > population:
        raise UserError(
            f"mutants and crossovers must fit into population={population}. Received: mutants={mutants}, "
            f"crossovers={crossovers}"
        )
    if not 0 <= mutation_probability <= 1:
        raise UserError(
            f"mutation_probability must be from 0 to 1. Received: mutation_probability={mutation_probability!r}"
        )
    limits = Limits(final_size, max_parameters, max_multiply_adds)
    return EvolutionarySearch(
        population, generations, parents, mutants, crossovers, mutation_probability, tries, random_tries, limits
    )


@dataclasses.dataclass(frozen=True)
class RandomSearch(_Limited):
    """See `random_search`, whose arguments are its attributes."""

    evaluations: int
    random_tries: int
    limits: Limits

    def __call__(self, space, fitness, *, seed, log_path, settings=None, chief=True) -> Genotype:
        """The best genotype, see `Selector`."""
        log, rng = _open(self, space, seed, log_path, settings, chief), _generator(seed)
        rounds = -(-self.evaluations // _ROUND)
        with Progress("random search", rounds, min(_ROUND, self.evaluations), log.left) as progress:
            trials = Trials(space, fitness, self.limits, log, progress)
            for done in range(rounds):
                trials.fill(rng, min((done + 1) * _ROUND, self.evaluations), self.random_tries)
                trials.end_round()
        return trials.genes.decode(trials.best(1)[0])


@gin.configurable(module="tf_edd.selectors.evolution")
def random_search(
    evaluations: int = 1000,
    random_tries: int = 1000,
    final_size: FinalSize | None = None,
    max_parameters: float | None = None,
    max_multiply_adds: float | None = None,
) -> RandomSearch:
    """The best of different random cells: the baseline of `evolutionary_search`, by default with its budget.

    Args:
        evaluations: how many cells are evaluated.
        random_tries: draws in a row without a new cell after which the search ends.
        final_size: as of `evolutionary_search`, the limits too.
        max_parameters: limit of the learned parameters of the final network.
        max_multiply_adds: limit of its multiply-adds.

    Raises:
        UserError: a count below 1, a limit without `final_size`.
    """
    _check_counts(evaluations=evaluations, random_tries=random_tries)
    return RandomSearch(evaluations, random_tries, Limits(final_size, max_parameters, max_multiply_adds))


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))


def _open(selector, space: Space, seed: int, path, settings, chief: bool) -> EvaluationLog:
    """The log, bound to what decides the selection."""
    values = {name: value for name, value in vars(selector).items() if name != "limits"}
    limits = {name: str(value) for name, value in vars(selector.limits).items()}
    own = {"selector": type(selector).__name__, "seed": seed, "space": space.name, **values, **limits}
    return EvaluationLog(path, {**own, "genotypes": Genes(space).num_genotypes, **(settings or {})}, chief)


def _check_counts(least: int = 1, **counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < least:
            raise UserError(f"{name} must be an integer of at least {least}. Received: {name}={value!r}")
