"""The installed gin files, and images for dry runs that nothing looks at."""

import re
from functools import cache
from pathlib import Path

import numpy as np

import gin_configs
from tf_edd.data import ImageData
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource

DIGITS = "datasets/digits.gin"
FOLDER = Path(gin_configs.__file__).resolve().parent


def names(folder) -> list[str]:
    return sorted(str(path.relative_to(FOLDER)) for path in (FOLDER / folder).glob("**/*.gin"))


@cache
def included(name) -> frozenset[str]:
    """The file and all that it includes, at any depth."""
    found = re.findall(r"^include '([^']+)'", (FOLDER / name).read_text(), re.MULTILINE)
    return frozenset([name]).union(*map(included, found))


def binds(name, text) -> bool:
    """Whether the text stands in the file or in one that it includes."""
    return any(text in (FOLDER / part).read_text() for part in included(name))


def includes(name, folder) -> bool:
    return any(part.startswith(f"{folder}/") for part in included(name))


def methods() -> list[str]:
    """Methods that are whole; the others are what methods share, or join another."""
    marks = ("Method.relaxation = @", "SampledPaths.paths", "Method.step = @GibbsSampling")
    return [name for name in names("methods") if any(binds(name, mark) for mark in marks)]


def learns_logits(method) -> bool:
    return binds(method, "Method.relaxation = @")


def runs_one_path(method) -> bool:
    return binds(method, "Method.relaxation = @HardGumbel")


def search_recipes() -> list[str]:
    return [name for name in names("recipes") if "_retrain_" not in name]


@cache
def black(count, side) -> ImageData:
    """Images that nothing looks at, in the number and size of a data set."""
    source = ArraySource(np.zeros((count, side, side, 3), np.uint8), np.arange(count) % 10)
    moments = Moments((0.0,) * 3, (1.0,) * 3)
    return ImageData.from_sources("black", source, source, [str(label) for label in range(10)], moments)


def like_cifar10() -> ImageData:
    return black(50_000, 32)
