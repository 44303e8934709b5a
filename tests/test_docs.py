"""The documents: what they name exists, the commands they give parse, and their examples run."""

import importlib
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gin
import pytest
import tensorflow as tf
import tiny_search

from launch import command, common
from tf_edd.errors import UserError
from tf_edd.relaxations import Softmax
from tf_edd.runtime import config, file_names, files, folder_lock, gin_graph
from tf_edd.schedules import ConstantRate
from tf_edd.search import parts  # noqa: F401 (registers what the gin files name)
from tf_edd.search.method import Method
from tf_edd.search.search import search
from tf_edd.steps import FirstOrder

ROOT = Path(__file__).resolve().parents[1]
GIN = ROOT / "gin_configs"
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md", NOTEBOOK])
PAPER_ROWS = sorted((GIN / "papers").glob("**/*.gin"))
# Files that a run or a reader makes, which no document can find in the checkout.
MADE = ("runs/", "my_", "search/", "retrain/", "export/", "train/", "valid/", "eval/", "best/", "last/", "cells/")
MADE_NAMES = {"genotype.json", "genotypes.jsonl", "results.json", "model_card.json", "trajectories.png", "cell.png"}
MADE_NAMES |= {"cell.svg", "heat_map.png", "config.gin", "environment.json", "record.json", "history.jsonl"}
MADE_NAMES |= {"curves.png", "evaluation.json", "nas_bench_201.csv.gz", "result.json"}
MADE_NAMES |= {"selection.jsonl", "ranking.json", "ranking.jsonl", "ranking.png", "single_level.py"}
MADE_NAMES |= {"curves.svg", "heat_map.svg", "space.json", "trajectories.svg"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.fixture(autouse=True)
def clean_gin():
    gin.clear_config()
    yield
    gin.clear_config()


def text_of(path):
    """The text of a document; of a notebook the sources of its cells, of the changes without the old names."""
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        text = re.sub(r"(?m)^\|[^|]+\|", "|", text)  # the first column of a table
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"]) if path == NOTEBOOK else text


def block(path, language, after):
    """The first code block of this language behind the text `after`."""
    text = path.read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text[text.index(after) :], re.DOTALL)
    assert found, f"{path} has no {language} block behind {after!r}"
    return found.group(1)


def commands():
    """Program and arguments of each command line of documents and manuals, variables filled in."""
    start = rf"(?:python -m launch\.|tf_edd )(?=(?:{'|'.join(command.PROGRAMS)}) )"
    for path in [*DOCUMENTS, *sorted((ROOT / "launch").glob("*.py"))]:
        text = re.sub(r"\\+\n\s*", " ", text_of(path))
        for line in re.findall(rf"{start}(\w+ -[^\n`]*)", text):
            if "..." not in line:
                line = line.replace("$TFDS", "tfds").replace("$NB201_TABLE", "table.csv.gz")
                yield pytest.param(shlex.split(line, comments=True), id=f"{path.name}: {line[:60]}")


@each_document
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(path))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@each_document
def test_named_files_exist(path):
    text = text_of(path)
    names = re.findall(r"(?<![\w$./{-])((?:[\w.-]+/)*[\w-]+\.(?:py|gin|md|json|jsonl|png|svg))(?![\w/])", text)
    names = {name for name in names if not name.startswith(MADE) and name not in MADE_NAMES}
    places = (ROOT, path.parent, GIN, ROOT / "tests")
    missing = [name for name in sorted(names) if not any((place / name).exists() for place in places)]
    assert not missing


def test_the_files_of_a_run_are_listed():
    listed = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
    listed = listed.partition("## What a run writes")[2].partition("\n## ")[0]
    pictures = (f"{name}.{kind}" for name in ("trajectories", "cell", "heat_map", "curves") for kind in ("png", "svg"))
    written = [folder_lock.LOCK, file_names.SPACE, file_names.GENOTYPES, file_names.RESULTS, *pictures]
    assert [name for name in (*written, "checkpoint (index)") if name not in listed] == []
    assert listed.count(f" {file_names.GENOTYPE}") == 2  # of the search and of the retraining


@each_document
def test_named_objects_import(path):
    for name in sorted(set(re.findall(r"`(tf_edd(?:\.\w+)+)", text_of(path)))):
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


@each_document
def test_named_arguments_exist(path):
    """`Part.argument` and `program.argument` of everything that gin configures; module names may stand before them."""
    text = text_of(path)
    names = re.findall(r"`(?:(?:\w+\.)*\w+/|(?:tf_edd\.)?\w+\.)?(\w+)\.(\w+)[ `]", text)
    known = {name: gin_graph.parameters(name) for name in gin_graph.configurable_names()}
    open_lists = {name for name in known if "named" in known[name]}  # they take any name
    wrong = [
        f"{part}.{name}"
        for part, name in names
        if part in known
        and part not in open_lists
        and name not in {*known[part], "py", "gin", "json"}
        and not hasattr(gin.get_configurable(part), name)
    ]
    assert not wrong
    assert path.name != "equations.md" or len([part for part, _ in names if part in known]) > 20


@each_document
def test_python_blocks_compile(path):
    text = path.read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, str(path), "exec")


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
    gin_files = ["datasets/cifar10.gin", "recipes/nb201_shallow.gin", f"methods/{method}_darts.gin"]
    config.parse(gin_files, roots=("search",))
    without_recipe = [gin_files[0], gin_files[2]]
    with pytest.raises(UserError, match="epochs"):
        config.parse(without_recipe, roots=("search",))


def test_table_look_up_joins_a_method():
    gin_files = ["papers/edd_darts/table1_edd_darts.gin", "tables/nb201.gin"]
    config.parse(gin_files, ['NasBench201Table.path = "table.csv.gz"'], roots=("search",))
    assert "actions.table_lookup = @TableLookup()" in config.config_text(("search",))


ROWS = {"table1": 12, "table2": 10 * 4 * 2, "table3": 9, "table4": 7, "table5": 3 * 3, "table6": 3 * 3, "figure4": 4}
# NAS-Bench-201 searched on two data sets, DS evaluated on two, S1 to S4 on three; PCD and EDD each.
ROWS["table7"] = 2 * (2 + 2 + 4 * 3)


@pytest.mark.parametrize("what", sorted(ROWS))
def test_every_row_has_its_file(what):
    """As many as the paper's tables have rows (and columns, where one is another search) of the methods here."""
    assert len(list((GIN / "papers" / "edd_darts").glob(f"{what}_*.gin"))) == ROWS[what]


PROGRAM_ROOTS = {"search": ("search",), "retrain": ("retrain",), "evaluate": ("evaluate",), "export": ("export",)}
PROGRAM_ROOTS["quickstart"] = tuple(PROGRAM_ROOTS)
PROGRAM_ROOTS["rank"] = ("rank",)
PROGRAM_ROOTS["count"] = ()  # it reads the spaces alone
# Stands for the configuration that a program finds in --model_dir.
RECORDED = {"rank": ["recipes/nb201_one_shot_small.gin", "datasets/cifar10.gin", "methods/spos.gin"]}


@pytest.mark.parametrize("arguments", list(commands()))
def test_commands_of_the_documents_parse(arguments):
    """Flags exist, gin files are found, every binding is known and used, every required value is there."""
    program = arguments[0]
    given = [argument.removeprefix("--").partition("=")[::2] for argument in arguments[1:]]
    assert {name for name, _ in given} <= {*known_flags(program), "help"}
    gin_files = [value for name, value in given if name == "gin_file"]
    if not gin_files and program == "quickstart":
        gin_files = ["quickstart.gin"]
    if gin_files and not gin_files[0].startswith("my_"):
        bindings = [value for name, value in given if name == "gin_param"]
        config.parse([*RECORDED.get(program, ()), *gin_files], bindings, (), PROGRAM_ROOTS[program])


def known_flags(program):
    source = (ROOT / "launch" / f"{program}.py").read_text(encoding="utf-8")
    own = set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source))
    shared = re.findall(r'"(\w+)"', " ".join(re.findall(r"common\.define_flags\(([^)]*)\)", source)))
    groups = {"gin": common.GIN_FLAGS, "machine": common.MACHINE_FLAGS}
    return own.union(*(groups.get(name, (name,)) for name in shared))


GUIDE = ROOT / "docs" / "add_a_method.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The folder with the files of docs/add_a_method.md, as a user would save them."""
    for name, language in (("my_method.py", "python"), ("my_method.gin", "gin"), ("single_level.py", "python")):
        (tmp_path / name).write_text(block(GUIDE, language, f"`{name}`"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


TINY = ["epochs = 1", "warmup_epochs = 0", "search.batch_size = 32", "search.split = (32, 32)"]
TINY += ["nas_bench_201.init_channels = 4", "skip_unused = False", "search.actions = ()"]


def tiny_run(folder, strength):
    config.parse(["my_method.gin"], [*TINY, f"EntropyPenalty.strength = {strength}"], roots=("search",))
    result = gin.get_configurable(search)(folder, seed=3)
    assert files.read_json(folder / "search" / "genotype.json") == result.genotype.to_json()
    return files.read_json(folder / "search" / "results.json")["metrics"]


@pytest.mark.slow
def test_the_example_method_searches(example):
    """The penalty is 5 times the entropy of the noisy probabilities of one step, above 0 and below ln 5."""
    plain, penalized = (tiny_run(example / str(strength), strength) for strength in (0.0, 5.0))
    assert penalized["loss/weights"] == plain["loss/weights"]
    assert 5 * 0.5 < penalized["loss/arch"] - plain["loss/arch"] < 5 * math.log(5) - 0.5
    assert penalized["arch/logit_gradient_norm"] > plain["arch/logit_gradient_norm"]


def test_self_distillation_joins_the_example(example):
    config.parse(["my_method.gin", "methods/self_distillation.gin"], TINY, roots=("Method",))
    assert [type(part).__name__ for part in gin.get_configurable(Method)().regularizers] == [
        "EntropyPenalty",
        "SelfDistillation",
    ]


def test_the_example_penalty_is_the_mean_entropy(example):
    import my_method

    penalty = my_method.EntropyPenalty(0.5)
    probs = {"cell": tf.constant([[0.2] * 5, [1.0, 0, 0, 0, 0]])}
    assert penalty.phases == ("arch",)
    assert float(penalty(SimpleNamespace(probs=probs))) == pytest.approx(0.25 * math.log(5), rel=1e-6)


def test_the_example_relaxation_samples_the_gumbel_softmax(example):
    """The winner of a Gumbel-perturbed row follows softmax(A): Gumbel's theorem."""
    import my_method

    logits = tf.constant([[0.0, math.log(2), math.log(5)]])
    sample = my_method.GumbelSoftmax()
    draws = [int(tf.argmax(sample(logits, 1.0, tf.constant([7, index])), -1)[0]) for index in range(600)]
    shares = [draws.count(winner) / 600 for winner in range(3)]
    assert shares == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.07)


def test_the_example_method_in_python_is_one(example):
    import my_method

    names = {}
    exec(compile(block(GUIDE, "python", "The same from Python"), "add_a_method.md", "exec"), names)
    method = names["method"]
    assert isinstance(method, Method) and method.relaxation == my_method.GumbelSoftmax()
    assert method.regularizers == (my_method.EntropyPenalty(0.02),)


@pytest.mark.slow
def test_the_example_step_takes_both_steps_on_the_training_batch(example):
    """With weights that stand still, without noise and in one step, both losses are those of the same batch."""
    import single_level

    metrics = {}
    for step in (single_level.SingleLevel(), FirstOrder()):
        changes = {"step": step, "relaxation": Softmax(), "weight_rate": ConstantRate(1e-9)}
        result = tiny_search.run(example / type(step).__name__, epochs=1, split=(16, 16), augmentation=(), **changes)
        metrics[type(step).__name__] = result.history[-1]
    single, first = metrics["SingleLevel"], metrics["FirstOrder"]
    assert single["loss/weights"] == pytest.approx(first["loss/weights"], rel=1e-6)
    assert single["loss/arch"] == pytest.approx(single["loss/weights"], rel=1e-5)
    assert abs(first["loss/arch"] - first["loss/weights"]) > 1e-3
    assert single["arch/logit_gradient_norm"] > 0


CELLS = """
import json, sys
cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
names = {"__name__": "__main__"}
for number, cell in enumerate(cells):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
print("all cells", names["result"]["accuracy"])
"""


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CELLS, str(NOTEBOOK)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    accuracy = float(done.stdout.splitlines()[-1].removeprefix("all cells "))
    assert accuracy > 0.5  # ten classes
    assert (tmp_path / "runs" / "tour" / "export" / "model_card.json").is_file()


def test_the_notebook_holds_no_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
