"""Selection by evolution."""

import dataclasses

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError, require_count, require_share
from tf_edd.part import part
from tf_edd.runtime.progress import Progress
from tf_edd.selectors.size_limits import SizeLimits
from tf_edd.selectors.trials import Trials, generator, open_log


@part(module="tf_edd.selectors")
class EvolutionarySearch:
    """Evolution: each generation is bred from the best candidates of all generations before it.

    A mutant is a random parent whose genes are each drawn anew with `mutation_probability`; a crossover takes each gene
    from one of two random parents. The rest of each generation, and the whole first one, is drawn at random. A
    selection takes `population * generations` evaluations (1000 by default) if the space has that many cells.

    Attributes:
        population: Evaluations per generation.
        generations: Number of generations, including the random first one.
        parents: Number of candidates that breed, the best so far.
        mutants: Number of mutants per generation.
        crossovers: Number of crossovers per generation.
        mutation_probability: Probability that a gene of a mutant is drawn anew.
        tries: Proposals per mutant or crossover; proposals that are already known or too large are discarded.
        random_tries: Random draws in a row without a new candidate after which a generation is closed, smaller than
            `population`.
        limits: Limits on the size of the final network; its counts are added to the log.
        recalibration_batches: Training batches on which the moving averages of each cell are gathered before the
            selector sees its accuracy; only with `Method.running_statistics`.

    Raises:
        UserError: a count below 1, a probability outside [0, 1], or more children than `population`.

    Source: Guo et al., https://arxiv.org/abs/1904.00420, section 3.4, and the released code, `src/Search/search.py`,
    from which the default values are taken.
    """

    population: int = 50
    generations: int = 20
    parents: int = 10
    mutants: int = 25
    crossovers: int = 25
    mutation_probability: float = 0.1
    tries: int = 10
    random_tries: int = 1000
    limits: SizeLimits = SizeLimits()
    recalibration_batches: int = 200

    def __post_init__(self):
        require_count(population=self.population, generations=self.generations, parents=self.parents, tries=self.tries)
        require_count(random_tries=self.random_tries, recalibration_batches=self.recalibration_batches)
        require_count(0, mutants=self.mutants, crossovers=self.crossovers)
        require_share(mutation_probability=self.mutation_probability)
        if self.mutants + self.crossovers > self.population:
            raise UserError(
                f"mutants and crossovers must fit into population={self.population}. Received: mutants={self.mutants}, "
                f"crossovers={self.crossovers}"
            )

    def prepare(self, space, image_shape, num_classes, seed) -> "EvolutionarySearch":
        limits = self.limits.prepare(space, image_shape, num_classes, generator(seed), self.random_tries)
        return dataclasses.replace(self, limits=limits)

    def __call__(self, space, fitness, *, seed, log_path, settings=None, chief=True) -> Genotype:
        log, rng = open_log(self, self.limits, space, seed, log_path, settings, chief), generator(seed)
        with Progress("evolution", self.generations, self.population, log.left) as progress:
            trials = Trials(space, fitness, self.limits, log, progress)
            for _ in range(self.generations):
                total = len(trials) + self.population
                self._breed(trials, rng)
                trials.fill(rng, total, self.random_tries)
                trials.end_round()
        return trials.winner

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

        trials.breed(mutant, self.mutants, self.tries * self.mutants, "mutation")
        trials.breed(crossover, self.crossovers, self.tries * self.crossovers, "crossover")
