"""Parts of a data set with the same share of each class."""

from collections.abc import Sequence

import numpy as np

from tf_edd.errors import UserError


def hold_out(
    labels: np.ndarray, fraction: float, seed: int, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the images that stay and of those held out: the same share of each class.

    Args:
        labels: int [N].
        fraction: Share of each class that is held out, in (0, 1); at least one image stays, and one is held out.
        seed: Seed of the choice.
        class_names: One per label, for the error.

    Raises:
        UserError: a fraction outside (0, 1), or a class with a single image.
    """
    check_fraction(fraction)
    single = [repr(class_names[label]) for label, count in enumerate(np.bincount(labels)) if count == 1]
    if single:
        raise UserError(
            "Each class needs two images, one to train on and one to test on: add images, or give folders train/ and "
            f"test/. Received: one image of {', '.join(single)}"
        )
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    held = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        held.append(rng.permutation(rows)[:count])
    held = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held), held


def check_fraction(test_fraction: float) -> None:
    """Raises UserError for a `test_fraction` that is not a number in (0, 1)."""
    if not isinstance(test_fraction, (int, float)) or not 0 < test_fraction < 1:
        raise UserError(f"test_fraction must lie in (0, 1). Received: test_fraction={test_fraction!r}")


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the rows in which every run of neighbors has nearly the same share of each class as the whole.

    A run that holds the share q of all rows has q n rows of a class of n, less or more by fewer than two.

    Args:
        labels: int [N].
        rng: Source of the randomness.
    """
    places = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        places[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(places, kind="stable")
