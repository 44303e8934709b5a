"""Every installed gin file parses strictly, uses all it binds, and composes a search or a retraining."""

import re
from pathlib import Path

import gin
import numpy as np
import pytest

import gin_configs
from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.table import ACCURACIES, COLUMNS
from tf_edd.data import ImageData
from tf_edd.data.normalisation import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.runtime import (
    config,
    parts,  # noqa: F401
)
from tf_edd.runtime.files import write_lines
from tf_edd.search.search import search
from tf_edd.training.retrain import retrain

FOLDER = Path(gin_configs.__file__).resolve().parent
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
SMALL, FULL = "recipes/nb201_small.gin", "recipes/nb201_search.gin"
DARTS, FAMILY = "recipes/darts_search.gin", "recipes/darts_family_search.gin"
RETRAIN = "recipes/nb201_retrain_200_epochs.gin"
PROXYLESS = "recipes/proxyless_search.gin"  # with its data, for any first-order method before it
METHOD = "methods/edd_darts.gin"
# Without a space, and without learning rate: parts of other recipes.
PARTIAL = {"recipes/darts_retrain_600_epochs.gin", "recipes/darts_retrain_imagenet.gin"}
# What methods share or add to others.
BASES = {f"methods/{name}.gin" for name in ("first_order", "single_path", "self_distillation")}
# A cell of each space, to be trained.
CELLS = {"nas_bench_201": CELL, "darts": "DARTS_V2", **{f"s{n}": f"darts_pt_s{n}_1" for n in range(1, 5)}}
BOTTLENECK = (("mbconv_k3_e6", 0),)
DIGITS = "datasets/digits.gin"


def names(folder):
    return sorted(str(path.relative_to(FOLDER)) for path in (FOLDER / folder).glob("**/*.gin"))


def included(name):
    """The file and all that it includes, at any depth."""
    found = re.findall(r"^include '([^']+)'", (FOLDER / name).read_text(), re.MULTILINE)
    return {name}.union(*map(included, found))


def binds(name, text):
    """Whether the text stands in the file or in one that it includes."""
    return any(text in (FOLDER / part).read_text() for part in included(name))


def complete():
    """Files that are whole experiments: a recipe is one when it includes a data set, itself or by another recipe."""
    recipes = [name for name in names("recipes") if name != PROXYLESS and included(name) & set(names("datasets"))]
    return [*recipes, *names("papers"), "quickstart.gin"]


def combinations():
    """The other files, put together as their users do."""
    methods = [name for name in names("methods") if binds(name, "search.relaxation = @")]
    single_path = [name for name in names("methods") if binds(name, "single_path.paths")]
    searches = [(DIGITS, "recipes/nb201_small_edd.gin")]
    small = "recipes/nb201_one_shot_small.gin"
    searches += [(DIGITS, small, method) for method in single_path]
    searches += [(DIGITS, small, single_path[0], name) for name in names("selectors")]
    searches += [(DIGITS, f"recipes/{space}_one_shot_search.gin", single_path[0]) for space in ("nb201", "darts")]
    first_order = [name for name in names("methods") if name not in {*single_path, *BASES}]
    searches += [(method, PROXYLESS) for method in first_order]
    searches += [(DIGITS, FULL, method) for method in methods] + [(name, SMALL, METHOD) for name in names("datasets")]
    searches += [(DIGITS, FAMILY, METHOD, name) for name in names("spaces")] + [(DIGITS, DARTS, METHOD)]
    tables = [(DIGITS, SMALL, METHOD, name) for name in [*names("tables"), *names("actions"), *names("selectors")]]
    whole = {*PARTIAL, RETRAIN, *complete()}
    recipes = [name for name in names("recipes") if "_retrain_" in name and name not in whole]
    trainings = [(DIGITS, name) for name in recipes] + [(name, RETRAIN) for name in names("datasets")]
    return searches + tables + trainings


def black(count, side):
    """A loader of images that nothing looks at."""
    source = ArraySource(np.zeros((count, side, side, 3), np.uint8), np.arange(count) % 10)
    moments = Moments((0.0,) * 3, (1.0,) * 3)
    data = ImageData.from_sources("black", source, source, [str(label) for label in range(10)], moments)
    return lambda data_dir: data


@pytest.fixture(scope="module")
def fifty_thousand():
    """Images in the number and size of CIFAR-10's."""
    return black(50_000, 32)


@pytest.fixture(scope="module")
def large():
    """Images in the size of ImageNet's, enough for a step or two."""
    return black(1_600, 224)


def bindings_for(files, folder):
    """What a file leaves to its user."""
    if any("datasets/image_folder.gin" in included(name) for name in files):
        return ['image_folder.directory = "photos"']
    if any(name.startswith("tables/") for name in files):
        cell = CELL.replace("none", "skip_connect")
        write_lines(folder / "table.csv", [",".join(COLUMNS), f"0,{cell}" + ",1" * len(ACCURACIES)])
        return [f'nb201_table.path = "{folder / "table.csv"}"']
    return []


def a_cell(space):
    """A cell to be trained; a chain has one of every length."""
    return CELLS.get(space.name) or Genotype(space.name, tuple((cell.kind, (BOTTLENECK,)) for cell in space.cells))


def bound(parameter) -> bool:
    try:
        gin.query_parameter(parameter)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("files", [(name,) for name in complete()] + combinations(), ids=" ".join)
def test_parses_and_composes(files, fifty_thousand, large, tmp_path):
    bindings = bindings_for(files, tmp_path)
    config.parse(files, bindings)
    programs = [name for name in ("search", "retrain") if bound(f"{name}.space")]
    assert programs, "binds neither a search nor a retraining"
    programs += ["rank"] if bound("rank.table") else []
    try:
        config.parse(files, bindings, roots=programs)  # strict: all used, nothing missing
        if "search" in programs:
            told = search(tmp_path / "run", data=fifty_thousand, dry_run=True)
            assert "parameters" in told and " epochs x " in told
        if "retrain" in programs:
            space = gin.query_parameter("retrain.space").scoped_configurable_fn()
            data = large if any(block.role == "auxiliary_imagenet" for block in space.blocks) else fifty_thousand
            sizes = retrain(tmp_path / "run", a_cell(space), data=data, dry_run=True)
            assert sizes["steps"] == sizes["epochs"] * sizes["steps_per_epoch"] > 0
    finally:
        gin.clear_config()
    assert not (tmp_path / "run").exists()


def test_learning_rates_span_the_epochs():
    for name in complete():
        config.parse([name], [])
        if bound("search.epochs") and bound("weights/cosine_rate.epochs"):
            pairs = [gin.query_parameter(f"{tag}.epochs") for tag in ("search", "weights/cosine_rate")]
            assert str(pairs[0]) == str(pairs[1]), name
        gin.clear_config()


def test_every_file_is_tried():
    tried = {name for files in combinations() for name in files} | set(complete())
    assert set(names(".")) == set().union(*map(included, tried))
