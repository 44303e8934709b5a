"""Limits on the size of the final network, for selectors that choose between cells."""

import dataclasses
from collections.abc import Mapping

import gin
import numpy as np

from tf_edd.analysis.counting import Counts, count
from tf_edd.architectures.genes import Genes
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.spaces.space import Space


@dataclasses.dataclass(frozen=True)
class FinalSize:
    """Genotype -> parameters and multiply-adds of its final network.

    Attributes:
        space: of the final network: its depth and channels, which are seldom those of the supernet.
        image_shape: (height, width, channels); None for that of the search.
        num_classes: classes; None for those of the search.
    """

    space: Space
    image_shape: tuple[int, int, int] | None = None
    num_classes: int | None = None

    def __call__(self, genotype: Genotype) -> Counts:
        """The counts, in the conventions of `tf_edd.analysis.counting.count`.

        Raises:
            UserError: an image shape or classes that are still to come from a search, a genotype of another space.
        """
        if self.image_shape is None or self.num_classes is None:
            raise UserError(
                "final_size needs image_shape and num_classes where no search tells them. Received: "
                f"image_shape={self.image_shape}, num_classes={self.num_classes}"
            )
        return count(self.space, genotype, tuple(self.image_shape), self.num_classes)

    def filled(self, image_shape: tuple[int, int, int], num_classes: int) -> "FinalSize":
        """With these where nothing was given."""
        return dataclasses.replace(
            self, image_shape=self.image_shape or tuple(image_shape), num_classes=self.num_classes or num_classes
        )

    def __str__(self):
        cells = [block.channels for block in self.space.blocks if block.role == "cell"]
        shape = "x".join(map(str, self.image_shape or "?"))
        return f"{self.space.name}, {len(cells)} cells from {cells[0]} channels, {shape}, {self.num_classes} classes"


@gin.configurable(module="tf_edd.selectors.size_limits")
def final_size(
    space: Space = gin.REQUIRED, image_shape: tuple[int, int, int] | None = None, num_classes: int | None = None
) -> FinalSize:
    """The network in which a selector counts parameters and multiply-adds.

    Args:
        space: the space at the size of the retraining, e.g. `@retrain/darts()`.
        image_shape: height, width and channels of the images that it is for; None for those of the search.
        num_classes: classes that it is for; None for those of the search.
    """
    return FinalSize(space, image_shape and tuple(image_shape), num_classes)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a final network may cost; None for no limit.

    Attributes:
        size: how it is counted; None counts nothing.
        max_parameters: learned parameters.
        max_multiply_adds: for one image.
    """

    size: FinalSize | None = None
    max_parameters: float | None = None
    max_multiply_adds: float | None = None

    def __post_init__(self):
        if self.size is None and (self.max_parameters, self.max_multiply_adds) != (None, None):
            raise UserError(
                "A limit needs final_size, the network that is meant: @final_size(). Received: "
                f"max_parameters={self.max_parameters!r}, max_multiply_adds={self.max_multiply_adds!r}, no final_size"
            )

    def filled(self, image_shape: tuple[int, int, int], num_classes: int) -> "Limits":
        """For images of this shape and these classes, where nothing else was given."""
        return dataclasses.replace(self, size=self.size and self.size.filled(image_shape, num_classes))

    def check(self, space: Space, rng: np.random.Generator, tries: int) -> None:
        """Counts random cells of `space` until one is allowed.

        Raises:
            UserError: `final_size` is of another space, or none of `tries` cells is allowed.
        """
        if self.size is not None and self.size.space.name != space.name:
            raise UserError(
                f"final_size.space must be the space of the search, {space.name!r}, at the size of the retraining. "
                f"Received: {self.size.space.name!r}"
            )
        genes, refused = Genes(space), []
        for _ in range(tries):
            counts = self.count(genes.decode(genes.sample(rng)))
            if self.allow(counts):
                return
            refused.append(counts)
        smallest = {name: min(counts[name] for counts in refused) for name in refused[0]}
        raise self.nothing_left(tries, smallest)

    def nothing_left(self, tries: int, smallest: Mapping[str, int]) -> UserError:
        """The error where none of so many random cells is allowed; `smallest` are the least counts among them."""
        return UserError(
            f"Expected limits that some cell keeps; of {tries} random ones none does, and the smallest have "
            f"{dict(smallest)}. Received: {self}"
        )

    def count(self, genotype: Genotype) -> dict[str, int]:
        """Parameters and multiply-adds of the final network, if they are counted."""
        return {} if self.size is None else dataclasses.asdict(self.size(genotype))

    def allow(self, counts: Mapping[str, int]) -> bool:
        """Whether a network of these counts is small enough."""
        most = {"parameters": self.max_parameters, "multiply_adds": self.max_multiply_adds}
        return all(most[name] is None or value <= most[name] for name, value in counts.items())

    def __str__(self):
        most = {"max_parameters": self.max_parameters, "max_multiply_adds": self.max_multiply_adds}
        told = ", ".join(f"{name}={value:g}" for name, value in most.items() if value is not None)
        return f"{told or 'no limit'} (size: {self.size})"
