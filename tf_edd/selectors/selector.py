"""What a selector is: it chooses a cell from a trained supernet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space

Fitness = Callable[[Genotype], float]


class Selector(Protocol):
    """Chooses the genotype with the highest fitness among those that it evaluates."""

    @property
    def recalibration_batches(self) -> int:
        """Training batches on which the moving averages of each cell are gathered before its fitness is measured."""

    def prepare(self, space: Space, image_shape: tuple[int, int, int], num_classes: int, seed: int) -> "Selector":
        """The selector for one search; errors in its settings are raised here, before the search begins.

        Args:
            space: The space of the search.
            image_shape: (height, width, channels) of the images of the search.
            num_classes: Number of classes.
            seed: Seed of the search.

        Raises:
            UserError: the selector does not fit the search, or would find no cell.
        """

    def __call__(
        self,
        space: Space,
        fitness: Fitness,
        *,
        seed: int,
        log_path: str | Path,
        settings: Mapping | None = None,
        chief: bool = True,
    ) -> Genotype:
        """The best of the evaluated genotypes; the first of equally good ones.

        Args:
            space: The genotypes to choose from.
            fitness: Genotype -> a finite number, higher is better.
            seed: Seed of the draws.
            log_path: File of JSON lines with all values, see `tf_edd.runtime.evaluation_log`.
            settings: What `fitness` depends on, JSON-able; a log with other settings is refused.
            chief: Whether this process writes the log.
        """
