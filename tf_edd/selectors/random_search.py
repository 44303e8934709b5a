"""Selection by random search."""

import dataclasses

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import require_count
from tf_edd.part import part
from tf_edd.runtime.progress import Progress
from tf_edd.selectors.size_limits import SizeLimits
from tf_edd.selectors.trials import Trials, generator, open_log

_ROUND = 50  # evaluations between two reports


@part(module="tf_edd.selectors")
class RandomSearch:
    """The best of different random cells: the baseline of `EvolutionarySearch`, by default with its budget.

    Attributes:
        evaluations: Number of cells that are evaluated.
        random_tries: Draws in a row without a new cell after which the search ends.
        limits: Limits on the size of the final network; its counts are added to the log.
        recalibration_batches: Training batches on which the moving averages of each cell are gathered before the
            selector sees its accuracy; only with `Method.running_statistics`.

    Raises:
        UserError: a count below 1.
    """

    evaluations: int = 1000
    random_tries: int = 1000
    limits: SizeLimits = SizeLimits()
    recalibration_batches: int = 200

    def __post_init__(self):
        require_count(evaluations=self.evaluations, random_tries=self.random_tries)
        require_count(recalibration_batches=self.recalibration_batches)

    def prepare(self, space, image_shape, num_classes, seed) -> "RandomSearch":
        limits = self.limits.prepare(space, image_shape, num_classes, generator(seed), self.random_tries)
        return dataclasses.replace(self, limits=limits)

    def __call__(self, space, fitness, *, seed, log_path, settings=None, chief=True) -> Genotype:
        log, rng = open_log(self, self.limits, space, seed, log_path, settings, chief), generator(seed)
        rounds = -(-self.evaluations // _ROUND)
        with Progress("random search", rounds, min(_ROUND, self.evaluations), log.left) as progress:
            trials = Trials(space, fitness, self.limits, log, progress)
            for done in range(rounds):
                trials.fill(rng, min((done + 1) * _ROUND, self.evaluations), self.random_tries)
                trials.end_round()
        return trials.winner
