"""Limits on the size of the final network, for selectors that choose between cells."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_edd.analysis.counting import Counts, count
from tf_edd.architectures.genes import Genes
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError, require_positive
from tf_edd.part import part
from tf_edd.spaces.space import Space

ImageShape = tuple[int, int, int]


@part(module="tf_edd.selectors")
class FinalSize:
    """The network in which a selector counts parameters and multiply-adds: genotype -> counts.

    Attributes:
        space: The space at the size of the retraining, e.g. `@retrain/darts()`. Its depth and channels usually differ
            from those of the supernet.
        image_shape: (height, width, channels) of the images; None for those of the search.
        num_classes: Number of classes; None for those of the search.
    """

    space: Space
    image_shape: ImageShape | None = None
    num_classes: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "image_shape", self.image_shape and tuple(self.image_shape))

    def __call__(self, genotype: Genotype) -> Counts:
        """The counts, by the conventions of `tf_edd.analysis.counting.count`.

        Raises:
            UserError: image_shape or num_classes are to come from a search and did not, or a genotype of another space.
        """
        if self.image_shape is None or self.num_classes is None:
            raise UserError(
                "FinalSize needs image_shape and num_classes outside of a search. Received: "
                f"image_shape={self.image_shape}, num_classes={self.num_classes}"
            )
        return count(self.space, genotype, self.image_shape, self.num_classes)

    def filled(self, image_shape: ImageShape, num_classes: int) -> "FinalSize":
        """A copy that takes these values where it has none."""
        return dataclasses.replace(
            self, image_shape=self.image_shape or tuple(image_shape), num_classes=self.num_classes or num_classes
        )

    def __str__(self):
        cells = [block.channels for block in self.space.blocks if block.role == "cell"]
        shape = "x".join(map(str, self.image_shape or "?"))
        return f"{self.space.name}, {len(cells)} cells from {cells[0]} channels, {shape}, {self.num_classes} classes"


@part(module="tf_edd.selectors")
class SizeLimits:
    """Upper limits on the size of a final network; None for no limit.

    Attributes:
        size: The network that is counted; None for no counting.
        max_parameters: Largest number of learned parameters.
        max_multiply_adds: Largest number of multiply-adds for one image.

    Raises:
        UserError: a limit that is not positive, or a limit without `size`.
    """

    size: FinalSize | None = None
    max_parameters: float | None = None
    max_multiply_adds: float | None = None

    def __post_init__(self):
        given = {name: value for name, value in self._maxima.items() if value is not None}
        require_positive(" or None", **given)
        if self.size is None and given:
            raise UserError(
                "A limit needs `size`, the network that is counted: SizeLimits.size = @FinalSize(). Received: "
                f"max_parameters={self.max_parameters!r}, max_multiply_adds={self.max_multiply_adds!r}, size=None"
            )

    @property
    def _maxima(self) -> dict[str, float | None]:
        return {"max_parameters": self.max_parameters, "max_multiply_adds": self.max_multiply_adds}

    def prepare(
        self, space: Space, image_shape: ImageShape, num_classes: int, rng: np.random.Generator, tries: int
    ) -> "SizeLimits":
        """The limits of one search, checked on random cells.

        Args:
            space: The space of the search.
            image_shape: For `size`, if it has none.
            num_classes: For `size`, if it has none.
            rng: Generator of the cells.
            tries: Number of cells that are drawn at most, until one satisfies the limits.

        Raises:
            UserError: `size.space` is another space, or none of the cells satisfies the limits.
        """
        limits = dataclasses.replace(self, size=self.size and self.size.filled(image_shape, num_classes))
        limits._check(space, rng, tries)
        return limits

    def _check(self, space: Space, rng: np.random.Generator, tries: int) -> None:
        if self.size is not None and self.size.space.name != space.name:
            raise UserError(
                f"FinalSize.space must be the space of the search, {space.name!r}, at the size of the retraining. "
                f"Received: {self.size.space.name!r}"
            )
        genes, refused = Genes(space), []
        for _ in range(tries):
            counts = self.count(genes.decode(genes.sample(rng)))
            if self.allow(counts):
                return
            refused.append(counts)
        smallest = {name: min(counts[name] for counts in refused) for name in refused[0]}
        raise self.unsatisfied(tries, smallest)

    def unsatisfied(self, tries: int, smallest: Mapping[str, int]) -> UserError:
        """The error if none of `tries` random cells satisfies the limits; `smallest` are the least counts of them."""
        return UserError(
            f"No cell satisfies the limits: the smallest counts of {tries} random cells are {dict(smallest)}. "
            f"Received: {self}"
        )

    def count(self, genotype: Genotype) -> dict[str, int]:
        """Parameters and multiply-adds of the final network; empty if nothing is counted."""
        return {} if self.size is None else dataclasses.asdict(self.size(genotype))

    def allow(self, counts: Mapping[str, int]) -> bool:
        """Whether a network with these counts satisfies the limits."""
        maxima = {name: self._maxima[f"max_{name}"] for name in counts}
        return all(maxima[name] is None or value <= maxima[name] for name, value in counts.items())

    def record(self) -> dict[str, str]:
        """The limits as text, for the log of a selection."""
        return {field.name: str(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def __str__(self):
        given = ", ".join(f"{name}={value:g}" for name, value in self._maxima.items() if value is not None)
        return f"{given or 'no limit'} (size: {self.size})"
