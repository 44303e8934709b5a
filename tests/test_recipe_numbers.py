"""The numbers that the gin files bind, after includes, overrides and macros, are those of papers and released codes.

`recipe_rows.py` and `recipe_papers.py` have a row for each file. A number that a file binds and its row does not name
fails, as does one that the row names otherwise; what a file leaves to the default of a part is compared as well, where
the row names it.
"""

import inspect

import gin
import gin.config as gin_internal
import keras
import pytest
import recipe_papers
import recipe_rows
from gin_files import names

from tf_edd.runtime import config, gin_graph
from tf_edd.search import parts  # noqa: F401 (registers what the files name)
from tf_edd.search.method import Method
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.retrain import retrain  # noqa: F401 (the root of what the files of a retraining bind)

ROWS = {
    "quickstart.gin": recipe_rows.QUICKSTART,
    **recipe_rows.PARTS,
    **{f"recipes/{name}.gin": row for name, row in recipe_rows.RECIPES.items()},
    **{f"methods/{name}.gin": row for name, row in recipe_rows.METHODS.items()},
    **{f"papers/edd_darts/{name}.gin": row for name, row in recipe_papers.EDD_ROWS.items()},
    **{f"papers/sd_darts/{name}.gin": row for name, row in recipe_papers.SD_ROWS.items()},
    **{f"papers/pa_da/{name}.gin": row for name, row in recipe_papers.PA_DA_ROWS.items()},
}
# Every row has the first; the others say who reads what, or join something.
WITHOUT_ROW = {"defaults.gin", "retrain_defaults.gin", "datasets/roots.gin"}
WITHOUT_ROW |= {"tables/nb201.gin", "tables/nb201_rank.gin", "actions/sharpness.gin"}
# What a part of an experiment joins.
JOINED = {
    f"methods/{name}.gin": ["methods/darts.gin"] for name in ("self_distillation", "beta_decay", "eigenvalue_stop")
}
EDGE_PARTS = ("partial_channels", "edge_weights", "auxiliary_skip", "drop_path")
FIRST_ORDER_ALONE = ("image_importance", "random_smoothing", "adversarial_smoothing", "perturbation_selection")
JOINED |= {f"methods/{name}.gin": ["methods/edd_darts.gin"] for name in (*FIRST_ORDER_ALONE, *EDGE_PARTS)}
JOINED |= {f"methods/pt_schedule_{name}.gin": ["methods/darts_pt.gin"] for name in ("nb201", "darts_space")}
JOINED |= {name: ["methods/spos.gin"] for name in names("selectors")}
LENGTH = 77  # epochs of the methods and selectors, which no recipe gives
ROOTS = ("search", "retrain", "evaluate", "export")


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def parse(name):
    """Parses a file as the programs do; methods and selectors have no length of their own."""
    length = [f"epochs = {LENGTH}"] if name.startswith(("methods/", "selectors/")) else []
    config.parse([*JOINED.get(name, ()), name], length)


def plain(value):
    """A bound value with macros replaced by theirs, references as gin writes them, and lists as tuples."""
    if isinstance(value, gin_internal.ConfigurableReference):
        if value.configurable.selector == "gin.macro":
            return plain(gin_internal._CONFIG["/".join(value.scopes), "gin.macro"]["value"])
        return repr(value)
    return tuple(map(plain, value)) if isinstance(value, (tuple, list)) else value


def bound():
    """All bindings in use, by the names that files give them; macros only where no method is there to read them."""
    known = gin_graph.macro_names()
    method = "method" in gin_internal._CONFIG.get(("", "tf_edd.search"), {})
    macros = () if method or "epochs" not in known else ("epochs", *config.default_macros())
    return {
        gin_graph.binding_name(key, name): plain(gin_internal._CONFIG[key][name])
        for key, name in gin_graph.effective(ROOTS, macros)
        if not gin_graph.is_macro(key) or key[0] in macros
    }


def default_of(name):
    """The default of a parameter of a part, by the name of its binding; outer scopes come first."""
    part, _, parameter = name.rpartition(".")
    part = part.rpartition("/")[2]
    return inspect.signature(gin_internal._REGISTRY.get_match(part).wrapped).parameters[parameter].default


def expected(row):
    """The numbers of a row, macros replaced by their values, without what its method does not read."""
    numbers = {"epochs": LENGTH, **recipe_rows.p.DEFAULTS} if any("search.method" in part for part in row) else {}
    for part in row:
        numbers |= part
    numbers = {name: resolved(numbers, value) for name, value in numbers.items()}
    if "search.method" in numbers:
        numbers = {name: value for name, value in numbers.items() if "." in name}
        made = {value.strip("@()") for value in numbers.values() if isinstance(value, str) and value.startswith("@")}
        unread = {name for name in numbers if name.startswith("arch/") and name.rpartition(".")[0] not in made}
        numbers = {name: value for name, value in numbers.items() if name not in unread}
    return {**recipe_rows.p.ALWAYS, **numbers}


def resolved(numbers, value):
    return numbers[value[1:]] if isinstance(value, str) and value.startswith("%") else value


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_numbers_of_a_file_are_those_of_its_row(name):
    parse(name)
    found, wanted = bound(), expected(ROWS[name])
    assert not set(found) - set(wanted), "bound, and in no row"
    defaults = {binding: default_of(binding) for binding in set(wanted) - set(found)}
    assert {**found, **defaults} == wanted


def test_every_file_has_a_row():
    assert set(ROWS) | WITHOUT_ROW == set(names("."))


def check_built(wanted, value, built):
    """What gin has made of a value is that value; of a reference a part with the row's numbers. Returns how many."""
    if isinstance(value, tuple):
        return sum(check_built(wanted, *pair) for pair in zip(value, built, strict=True))
    if value in ("@regularizers()", "@edges()"):
        return sum(check_built(wanted, f"@{type(part).__name__}()", part) for part in built)
    if not (isinstance(value, str) and value.startswith("@")):
        assert built == value
        return 1
    settings = built.get_config() if isinstance(built, keras.optimizers.Optimizer) else vars(built)
    own = {name.rpartition(".")[2]: name for name in wanted if name.rpartition(".")[0] == value.strip("@()")}
    return sum(check_built(wanted, wanted[name], settings[parameter]) for parameter, name in own.items())


@pytest.mark.parametrize("name", sorted({name for name in ROWS if name.startswith("papers/")} | {"quickstart.gin"}))
def test_the_parts_that_gin_makes_have_them_too(name):
    parse(name)
    wanted, count = expected(ROWS[name]), 0
    if wanted.get("SparseNoisySoftmax.smooth_scale") is not None:  # s replaces s*t
        wanted["SparseNoisySoftmax.smooth_temperature"] = None
    for program, reference, part in (("search", "@Method()", Method), ("retrain", "@TrainingRecipe()", TrainingRecipe)):
        if f"{program}.epochs" in wanted:
            count += check_built(wanted, reference, gin.get_configurable(part)())
    assert count > 9
