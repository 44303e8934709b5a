"""The candidates of one selection, and the log that it continues from."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tf_edd.architectures.genes import Code, Genes
from tf_edd.architectures.genotype import Genotype
from tf_edd.runtime.evaluation_log import EvaluationLog
from tf_edd.runtime.progress import Progress
from tf_edd.selectors.selector import Fitness
from tf_edd.selectors.size_limits import SizeLimits
from tf_edd.spaces.space import Space

_STREAM = 0xE  # separates these random numbers from those of the logits, which have the same seed


class Trials:
    """The candidates that a selection has considered, and the values of those that it has evaluated.

    Args:
        space: The search space.
        fitness: Genotype -> value.
        limits: Candidates above them are not evaluated.
        log: Stores the values.
        progress: Reports values that the log did not have.
    """

    def __init__(self, space: Space, fitness: Fitness, limits: SizeLimits, log: EvaluationLog, progress: Progress):
        self.genes = Genes(space)
        self._fitness, self._limits, self._log, self._progress = fitness, limits, log, progress
        self._considered: set[Code] = set()
        self._smallest: dict[str, int] = {}
        self._values: dict[Code, float] = {}
        self._round, self._news = 0, False

    def __len__(self):
        return len(self._values)

    def best(self, number: int) -> list[Code]:
        """The best candidates so far; of equally good ones those that were evaluated first."""
        return sorted(self._values, key=lambda code: -self._values[code])[:number]

    @property
    def codes(self) -> list[Code]:
        """The evaluated candidates, in the order of their evaluation."""
        return list(self._values)

    def value(self, code: Code) -> float | None:
        """The value of a candidate that was evaluated; None for any other."""
        return self._values.get(code)

    @property
    def winner(self) -> Genotype:
        """The best genotype of a selection that is complete.

        Raises:
            UserError: the log has more values than the selection has evaluated.
        """
        self._log.check_read()
        return self.genes.decode(self.best(1)[0])

    def evaluate(self, code: Code, origin: str) -> bool:
        """Evaluates a candidate if it is new and within the limits; returns whether it was."""
        if code in self._considered:
            return False
        self._considered.add(code)
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

    def breed(self, propose: Callable[[], Code], wanted: int, tries: int, origin: str) -> None:
        """Evaluates up to `wanted` of at most `tries` proposals."""
        evaluated = 0
        for _ in range(tries):
            if evaluated == wanted:
                return
            evaluated += self.evaluate(propose(), origin)

    def fill(self, rng: np.random.Generator, total: int, patience: int) -> None:
        """Evaluates random candidates up to `total` in all, or until `patience` draws in a row bring no new one.

        Raises:
            UserError: nothing could be evaluated.
        """
        failures = 0
        while len(self) < total and failures < patience:
            failures = 0 if self.evaluate(self.genes.sample(rng), "random") else failures + 1
        if not self._values:
            raise self._limits.unsatisfied(patience, self._smallest)

    def end_round(self) -> None:
        """Reports the best value so far, unless the whole generation came from the log."""
        if self._news:
            self._progress.end_epoch({"best": max(self._values.values()), "evaluated": len(self)})
        self._round, self._news = self._round + 1, False


def generator(seed: int) -> np.random.Generator:
    """The generator of a selection's draws."""
    return np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))


def open_log(
    part, limits: SizeLimits, space: Space, seed: int, path: str | Path, settings: Mapping | None, chief: bool
) -> EvaluationLog:
    """The log of a selection, bound to everything that decides its outcome.

    Args:
        part: The selector, a dataclass. Its `recalibration_batches` is part of `settings` wherever it matters.
        limits: The limits of the selector.
        space: The search space.
        seed: Seed of the draws.
        path: The file.
        settings: What the fitness depends on.
        chief: Whether this process writes the log.
    """
    names = [field.name for field in dataclasses.fields(part)]
    values = {name: getattr(part, name) for name in names if name not in ("limits", "recalibration_batches")}
    own = {"selector": type(part).__name__, "seed": seed, "space": space.name, **values, **limits.record()}
    return EvaluationLog(path, {**own, "genotypes": Genes(space).num_genotypes, **(settings or {})}, chief)
