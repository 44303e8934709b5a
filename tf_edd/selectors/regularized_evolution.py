"""Selection by regularized evolution."""

import collections
import dataclasses

import numpy as np

from tf_edd.architectures.genes import Code
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError, require_count
from tf_edd.part import part
from tf_edd.runtime.progress import Progress
from tf_edd.selectors.size_limits import SizeLimits
from tf_edd.selectors.trials import Trials, generator, open_log


@part(module="tf_edd.selectors")
class RegularizedEvolution:
    """Evolution in which the oldest cell dies, not the worst (aging evolution).

    The population begins with random cells. Again and again the best of `sample_size` random members, drawn with
    replacement, has a child that differs from it in one gene; the child joins, and the oldest member leaves. A child
    that was evaluated before takes the value that is known and costs no evaluation.

    Attributes:
        population: Number of members.
        sample_size: Members that compete to be the parent of a child.
        evaluations: Number of cells that are evaluated, the first population included.
        tries: Children in a row without a new cell after which the search ends.
        limits: Limits on the size of the final network; its counts are added to the log. A child above them is not
            born.
        recalibration_batches: Training batches on which the moving averages of each cell are gathered before the
            selector sees its accuracy; only with `Method.running_statistics`.

    Raises:
        UserError: A count below 1, or a population larger than `evaluations`.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019, arXiv 1802.01548,
    Algorithm 1. The default values are those of NAS-Bench-201's R-EA (Dong and Yang, ICLR 2020, arXiv 2001.00326;
    AutoDL-Projects, `exps/NAS-Bench-201-algos/R_EA.py`), which trains a known cell again where a child repeats it.
    """

    population: int = 10
    sample_size: int = 3
    evaluations: int = 1000
    tries: int = 1000
    limits: SizeLimits = SizeLimits()
    recalibration_batches: int = 200

    def __post_init__(self):
        require_count(population=self.population, sample_size=self.sample_size, evaluations=self.evaluations)
        require_count(tries=self.tries, recalibration_batches=self.recalibration_batches)
        if self.population > self.evaluations:
            raise UserError(
                f"population must be at most evaluations={self.evaluations}. Received: population={self.population}"
            )

    def prepare(self, space, image_shape, num_classes, seed) -> "RegularizedEvolution":
        limits = self.limits.prepare(space, image_shape, num_classes, generator(seed), self.tries)
        return dataclasses.replace(self, limits=limits)

    def __call__(self, space, fitness, *, seed, log_path, settings=None, chief=True) -> Genotype:
        log, rng = open_log(self, self.limits, space, seed, log_path, settings, chief), generator(seed)
        rounds = -(-self.evaluations // self.population)
        with Progress("regularized evolution", rounds, self.population, log.left) as progress:
            trials = Trials(space, fitness, self.limits, log, progress)
            trials.fill(rng, self.population, self.tries)
            trials.end_round()
            members = collections.deque(trials.codes, maxlen=self.population)  # the oldest leaves at its left end
            failures = 0
            while len(trials) < self.evaluations and failures < self.tries:
                child = trials.genes.change_one(self._parent(members, trials, rng), rng)
                new = trials.evaluate(child, "mutation")
                failures = 0 if new else failures + 1
                if trials.value(child) is not None:
                    members.append(child)
                if new and len(trials) % self.population == 0:
                    trials.end_round()
        return trials.winner

    def _parent(self, members: collections.deque[Code], trials: Trials, rng: np.random.Generator) -> Code:
        drawn = [members[i] for i in rng.integers(len(members), size=self.sample_size)]
        return max(drawn, key=trials.value)
