"""The documents: what they name exists, the commands they give parse, and the example method runs."""

import importlib
import inspect
import math
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import gin
import pytest
import tensorflow as tf

from launch import common
from tf_edd.errors import UserError
from tf_edd.runtime import (
    config,
    files,
    parts,  # noqa: F401 (registers what the gin files name)
)
from tf_edd.search.search import search

ROOT = Path(__file__).resolve().parents[1]
GIN = ROOT / "gin_configs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"])
PAPER_ROWS = sorted((GIN / "papers").glob("**/*.gin"))
# Files that a run or a reader makes, which no document can find in the checkout.
MADE = ("runs/", "my_", "search/", "retrain/", "export/", "train/", "valid/", "eval/", "best/", "last/", "cells/")
MADE_NAMES = {"genotype.json", "genotypes.jsonl", "results.json", "model_card.json", "trajectories.png", "cell.png"}
MADE_NAMES |= {"cell.svg", "heat_map.png", "config.gin", "environment.json", "record.json", "history.jsonl"}
MADE_NAMES |= {"curves.png", "evaluation.json", "nas_bench_201.csv.gz", "result.json"}
MADE_NAMES |= {"selection.jsonl", "ranking.json", "ranking.jsonl", "ranking.png"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.fixture(autouse=True)
def clean_gin():
    gin.clear_config()
    yield
    gin.clear_config()


def block(path, language, after):
    """The first code block of this language behind the text `after`."""
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text[text.index(after) :], re.DOTALL)
    assert found, f"{path} has no {language} block behind {after!r}"
    return found.group(1)


def commands():
    """Arguments of each `python -m launch...` line of documents and manuals, variables filled in."""
    for path in [*DOCUMENTS, *sorted((ROOT / "launch").glob("*.py"))]:
        text = re.sub(r"\\+\n\s*", " ", path.read_text(encoding="utf-8"))
        for line in re.findall(r"python -m launch\.\w+[^\n`]*", text):
            if "..." not in line:
                line = line.replace("$TFDS", "tfds").replace("$NB201_TABLE", "table.csv.gz")
                yield pytest.param(shlex.split(line, comments=True)[2:], id=f"{path.name}: {line[10:70]}")


@each_document
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@each_document
def test_named_files_exist(path):
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"(?<![\w$./{-])((?:[\w.-]+/)*[\w-]+\.(?:py|gin|md|json|jsonl|png|svg))(?![\w/])", text)
    names = {name for name in names if not name.startswith(MADE) and name not in MADE_NAMES}
    places = (ROOT, path.parent, GIN, ROOT / "tests")
    missing = [name for name in sorted(names) if not any((place / name).exists() for place in places)]
    assert not missing


@each_document
def test_named_objects_import(path):
    for name in sorted(set(re.findall(r"`(tf_edd(?:\.\w+)+)", path.read_text(encoding="utf-8")))):
        resolve(name)


def resolve(name):
    """The module or object of this dotted name; an AttributeError or ImportError when there is none."""
    names = name.split(".")
    for length in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in names[length:]:
            found = getattr(found, attribute)
        return found
    raise ImportError(name)


def test_equations_names_of_arguments_exist():
    """`module.function.argument` and `function.argument (default)` of the table of open choices."""
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    section = text[text.index("## Where the paper is silent") :]  # to the end: other papers follow
    names = re.findall(r"`((?:temperature|relaxations|optimizers|schedules|regularizers)\.\w+)(?:\.(\w+))?`", section)
    assert len(names) > 5
    for function, argument in names:
        found = resolve(f"tf_edd.{function}")
        assert not argument or argument in inspect.signature(found).parameters, (function, argument)


# How a row says what it repeats: the place in the paper or, of papers known by a summary or by code alone, the method.
ROW_HEADS = {
    "edd_darts": ("# Table ", "# Fig. "),
    "sd_darts": ("# SD-DARTS",),
    "pa_da": ("# PA&DA", "# SPOS", "# FairNAS", "# The path sampling of PA&DA"),
}


@pytest.mark.parametrize("path", PAPER_ROWS, ids=lambda path: path.stem)
def test_paper_rows_parse_strictly(path):
    assert path.read_text(encoding="utf-8").startswith(ROW_HEADS[path.parent.name])
    config.parse([str(path.relative_to(GIN))])
    programs = [name for name in ("search", "retrain") if bound(f"{name}.space")]
    assert programs, "binds neither a search nor a retraining"
    config.parse([str(path.relative_to(GIN))], roots=programs)


def bound(parameter):
    try:
        gin.query_parameter(parameter)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("method", sorted((GIN / "methods").glob("*_darts.gin")), ids=lambda path: path.stem)
def test_every_method_composes_with_the_full_recipe(method):
    config.parse(["datasets/cifar10.gin", "recipes/nb201_search.gin", f"methods/{method.name}"], roots=("search",))


@pytest.mark.parametrize("method", ["pcd", "lpcd", "ets", "lts"])
def test_scheduled_methods_take_the_length_of_the_search(method):
    gin_files = ["datasets/cifar10.gin", "recipes/nb201_small.gin", f"methods/{method}_darts.gin"]
    config.parse(gin_files, roots=("search",))
    without_recipe = [gin_files[0], gin_files[2]]
    with pytest.raises(UserError, match="epochs"):
        config.parse(without_recipe, roots=("search",))


def test_table_look_up_joins_a_method():
    gin_files = ["papers/edd_darts/table1_edd_darts.gin", "tables/nb201.gin"]
    config.parse(gin_files, ['nb201_table.path = "table.csv.gz"'], roots=("search",))


# What the rows must differ in, read from the paper and not from the files.
ROW_VALUES = {
    "table1_edd_darts": {"entropy_decay.entropy_gain": 0.06, "sparse_noisy_softmax.smooth_temperature": 1.0},
    "table1_edd_darts_clip": {"first_order.arch_gradient_clip": 5.0, "entropy_decay.entropy_gain": 0.06},
    "table5_softmax_lambda_0_12": {"entropy_decay.entropy_gain": 0.12},
    "table5_st_1_lambda_0_24": {"entropy_decay.entropy_gain": 0.24, "sparse_noisy_softmax.smooth_temperature": 1.0},
    "table5_s_100_lambda_0_12": {"entropy_decay.entropy_gain": 0.12, "sparse_noisy_softmax.smooth_scale": 100},
    "table7_pcd_darts_cifar100": {"periodic.kind": "exponential", "periodic.cycles": 3, "tfds_images.name": "cifar100"},
    "table7_edd_darts_cifar10": {"tfds_images.name": "cifar10"},
    "figure4_lpcd_darts": {"periodic.kind": "linear"},
    "table1_darts_v1": {"weights/sgd.weight_decay": 5e-4, "first_order.order": "weights_first"},
}


@pytest.mark.parametrize(("row", "values"), ROW_VALUES.items(), ids=ROW_VALUES)
def test_paper_rows_bind_the_papers_values(row, values):
    config.parse([f"papers/edd_darts/{row}.gin"], roots=("search",))
    assert {name: gin.query_parameter(name) for name in values} == values


ROWS = {"table1": 3, "table2": 2 * 4 * 2, "table3": 1, "table4": 1, "table5": 3 * 3, "table6": 3 * 3, "figure4": 4}
# NAS-Bench-201 searched on two data sets, DS evaluated on two, S1 to S4 on three; PCD and EDD each.
ROWS["table7"] = 2 * (2 + 2 + 4 * 3)


@pytest.mark.parametrize("what", sorted(ROWS))
def test_every_row_has_its_file(what):
    """As many as the paper's tables have rows (and columns, where one is another search) of EDD, PCD and DARTS-V1."""
    assert len(list((GIN / "papers" / "edd_darts").glob(f"{what}_*.gin"))) == ROWS[what]


PROGRAM_ROOTS = {"search": ("search",), "retrain": ("retrain",), "evaluate": ("evaluate",), "export": ("export",)}
PROGRAM_ROOTS["quickstart"] = tuple(PROGRAM_ROOTS)
PROGRAM_ROOTS["rank"] = ("rank",)
PROGRAM_ROOTS["count"] = ()  # it reads the spaces alone


@pytest.mark.parametrize("arguments", commands())
def test_commands_of_the_documents_parse(arguments):
    """Flags exist, gin files are found, every binding is known and used, every required value is there."""
    program = arguments[0].removeprefix("launch.")
    given = [argument.removeprefix("--").partition("=")[::2] for argument in arguments[1:]]
    assert {name for name, _ in given} <= known_flags(program)
    gin_files = [value for name, value in given if name == "gin_file"]
    if not gin_files and program == "quickstart":
        gin_files = ["quickstart.gin"]
    if gin_files and not gin_files[0].startswith("my_"):
        config.parse(gin_files, [value for name, value in given if name == "gin_param"], (), PROGRAM_ROOTS[program])


def known_flags(program):
    source = (ROOT / "launch" / f"{program}.py").read_text(encoding="utf-8")
    own = set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source))
    shared = re.findall(r'"(\w+)"', " ".join(re.findall(r"common\.define_flags\(([^)]*)\)", source)))
    groups = {"gin": common.GIN_FLAGS, "machine": common.MACHINE_FLAGS}
    return own.union(*(groups.get(name, (name,)) for name in shared))


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The folder with the two files of docs/add_a_method.md, as a user would save them."""
    guide = ROOT / "docs" / "add_a_method.md"
    (tmp_path / "my_method.py").write_text(block(guide, "python", "`my_method.py`"), encoding="utf-8")
    (tmp_path / "my_method.gin").write_text(block(guide, "gin", "`my_method.gin`"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


TINY = ["search.epochs = 1", "search.batch_size = 32", "search.train = 32", "search.valid = 32"]
TINY += ["nas_bench_201.init_channels = 4", "first_order.skip_unused = False"]
TINY += ["search.actions = []"]


def tiny_search(folder, strength):
    config.parse(["my_method.gin"], [*TINY, f"entropy_penalty.strength = {strength}"], roots=("search",))
    genotype = search(folder, seed=3)
    assert files.read_json(folder / "search" / "genotype.json") == genotype.to_json()
    return files.read_json(folder / "search" / "results.json")["metrics"]


@pytest.mark.slow
def test_the_example_method_searches(example):
    """The penalty is 5 times the entropy of the noisy probabilities of one step, above 0 and below ln 5."""
    plain, penalised = (tiny_search(example / str(strength), strength) for strength in (0.0, 5.0))
    assert penalised["loss/weights"] == plain["loss/weights"]
    assert 5 * 0.5 < penalised["loss/arch"] - plain["loss/arch"] < 5 * math.log(5) - 0.5
    assert penalised["arch/logit_gradient_norm"] > plain["arch/logit_gradient_norm"]


def test_the_example_penalty_is_the_mean_entropy(example):
    import my_method

    penalty = my_method.entropy_penalty(0.5)
    probs = {"cell": tf.constant([[0.2] * 5, [1.0, 0, 0, 0, 0]])}
    assert penalty.phases == ("arch",)
    assert float(penalty(SimpleNamespace(probs=probs))) == pytest.approx(0.25 * math.log(5), rel=1e-6)


def test_the_example_relaxation_samples_the_gumbel_softmax(example):
    """The winner of a Gumbel-perturbed row follows softmax(A): Gumbel's theorem."""
    import my_method

    logits = tf.constant([[0.0, math.log(2), math.log(5)]])
    sample = my_method.gumbel_softmax()
    draws = [int(tf.argmax(sample(logits, 1.0, tf.constant([7, index])), -1)[0]) for index in range(600)]
    shares = [draws.count(winner) / 600 for winner in range(3)]
    assert shares == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.07)
