"""Every installed gin file parses strictly, uses all it binds, and composes a search or a retraining."""

import gin
import pytest
from gin_files import DIGITS, FOLDER, binds, black, included, includes, learns_logits, like_cifar10, methods, names

from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.table import ACCURACIES, COLUMNS
from tf_edd.runtime import config
from tf_edd.runtime.files import write_lines
from tf_edd.samplers import ImportanceImages
from tf_edd.schedules import CosineRate, LinearRate, SequenceRate
from tf_edd.search import parts  # noqa: F401 (registers what the files name)
from tf_edd.search.method import Method
from tf_edd.search.search import search
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.retrain import retrain

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
SMALL, FAMILY = "recipes/nb201_shallow.gin", "recipes/darts_family_search.gin"
RETRAIN = "recipes/nb201_retrain_200_epochs.gin"
METHOD = "methods/edd_darts.gin"
# Without a space, and without learning rate: parts of other recipes.
PARTIAL = {"recipes/darts_retrain_600_epochs.gin", "recipes/darts_retrain_imagenet.gin"}
# A cell of each space, to be trained.
CELLS = {"nas_bench_201": CELL, "darts": "DARTS_V2", **{f"s{n}": f"darts_pt_s{n}_1" for n in range(1, 5)}}
BOTTLENECK = (("mbconv_k3_e6", 0),)


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def complete():
    """Files that are whole experiments: with a data set, and a method or a training."""
    recipes = [name for name in names("recipes") if includes(name, "datasets")]
    whole = [name for name in recipes if includes(name, "methods") or "_retrain_" in name]
    return [*whole, *names("papers"), "quickstart.gin"]


def combinations():
    """The other files, put together as their users do; test_gin_matrix.py has the methods with all recipes."""
    small = "recipes/nb201_one_shot_small.gin"
    sampled = next(name for name in methods() if not learns_logits(name))
    searches = [(DIGITS, small, sampled, name) for name in names("selectors")]
    searches += [(name, SMALL, METHOD) for name in names("datasets") if name != "datasets/roots.gin"]
    searches += [(DIGITS, SMALL, METHOD, name) for name in [*names("tables"), *names("actions"), *names("selectors")]]
    joined = "self_distillation", "beta_decay", "image_importance", "random_smoothing", "adversarial_smoothing"
    joined += ("eigenvalue_stop", "perturbation_selection", "pt_schedule_nb201", "pt_schedule_darts_space")
    searches += [(DIGITS, SMALL, METHOD, f"methods/{name}.gin") for name in joined]
    recipes = [
        name for name in names("recipes") if "_retrain_" in name and name not in {*PARTIAL, RETRAIN, *complete()}
    ]
    data_sets = [(name, RETRAIN) for name in names("datasets") if name != "datasets/roots.gin"]
    return searches + [(DIGITS, name) for name in recipes] + data_sets


def bindings_for(files, folder):
    """What a file leaves to its user."""
    if any("datasets/image_folder.gin" in included(name) for name in files):
        return ['ImageFolder.directory = "photos"']
    if any(name.startswith("tables/") for name in files):
        cell = CELL.replace("none", "skip_connect")
        write_lines(folder / "table.csv", [",".join(COLUMNS), f"0,{cell}" + ",1" * len(ACCURACIES)])
        return [f'NasBench201Table.path = "{folder / "table.csv"}"']
    return []


def a_cell(space):
    """A cell to be trained; a chain has one of every length."""
    return CELLS.get(space.name) or Genotype(space.name, tuple((cell.cell_type, (BOTTLENECK,)) for cell in space.cells))


def bound(parameter) -> bool:
    try:
        gin.query_parameter(parameter)
    except ValueError:
        return False
    return True


def value_of(parameter):
    """What is bound, macros and references evaluated."""
    value = gin.query_parameter(parameter)
    return getattr(value, "scoped_configurable_fn", lambda: value)()


def programs() -> list[str]:
    found = [name for name in ("search", "retrain") if bound(f"{name}.space")]
    return [*found, *(["rank"] if bound("rank.table") else [])]


@pytest.mark.parametrize("files", [(name,) for name in complete()] + combinations(), ids=" ".join)
def test_parses_and_composes(files, tmp_path):
    bindings = bindings_for(files, tmp_path)
    config.parse(files, bindings)
    roots = programs()
    assert roots, "binds neither a search nor a retraining"
    config.parse(files, bindings, roots=roots)  # strict: all used, nothing missing
    if "search" in roots:
        text = gin.get_configurable(search)(tmp_path / "run", data=like_cifar10(), dry_run=True)
        assert "parameters" in text and " epochs x " in text
    if "retrain" in roots:
        space = value_of("retrain.space")
        large = any(block.role == "auxiliary_imagenet" for block in space.blocks)
        data = black(1_600, 224) if large else like_cifar10()
        sizes = gin.get_configurable(retrain)(tmp_path / "run", a_cell(space), data=data, dry_run=True)
        assert sizes["steps"] == sizes["epochs"] * sizes["steps_per_epoch"] > 0
    assert not (tmp_path / "run").exists()


def length_of(rate) -> int | None:
    """The epochs that a schedule was made for, if there is such a number."""
    if isinstance(rate, SequenceRate):
        rest = length_of(rate.then)  # None for a constant rate, which goes on
        return None if rest is None else rate.epochs + rest
    return rate.epochs if isinstance(rate, (CosineRate, LinearRate)) else None


def test_learning_rates_span_the_epochs():
    lengths = []
    for name in complete():
        config.parse([name])
        rates = {}
        if bound("search.space"):
            rates["search"] = gin.get_configurable(Method)().weight_rate
        if bound("retrain.recipe"):
            rates["retrain"] = gin.get_configurable(TrainingRecipe)().rate
        for program, rate in rates.items():
            if length_of(rate) is not None:
                assert length_of(rate) == value_of(f"{program}.epochs"), name
                lengths.append(length_of(rate))
    assert len(lengths) > 80 and len(set(lengths)) > 4


def test_every_file_is_tried():
    tried = {name for files in combinations() for name in files} | set(complete()) | PARTIAL | {config.DEFAULTS}
    left = set(names(".")) - set().union(*map(included, tried))
    assert all(name.startswith(("methods/", "recipes/", "spaces/")) for name in left)  # test_gin_matrix.py


EXTRAS = {
    "tables/nb201.gin": "actions.table_lookup = @TableLookup()",
    "actions/sharpness.gin": "actions.sharpness = @Sharpness()",
    "methods/self_distillation.gin": "regularizers.self_distillation = @SelfDistillation()",
    "methods/beta_decay.gin": "regularizers.beta_decay = @BetaDecay()",
    "methods/image_importance.gin": "FirstOrder.images = @ImportanceImages()",
}


@pytest.mark.parametrize("order", [list(EXTRAS), list(EXTRAS)[::-1]], ids=["in order", "the other way round"])
@pytest.mark.parametrize("method_last", [True, False])
def test_extras_go_together(order, method_last, tmp_path):
    assert all(binds(name, text) for name, text in EXTRAS.items())
    files = [DIGITS, SMALL, *([*order, METHOD] if method_last else [METHOD, *order])]
    config.parse(files, bindings_for(files, tmp_path), roots=["search"])
    method, actions = gin.get_configurable(Method)(), value_of("search.actions")
    assert {"Sharpness", "TableLookup", "TensorBoard"} <= {type(action).__name__ for action in actions}
    assert [type(part).__name__ for part in method.regularizers] == ["BetaDecay", "SelfDistillation"]
    assert method.step.images == ImportanceImages()
    gin.get_configurable(search)(tmp_path / "run", data=like_cifar10(), dry_run=True)


@pytest.mark.parametrize("whole", ["quickstart.gin", "recipes/nb201_cifar10_small.gin"])
@pytest.mark.parametrize("method", methods())
def test_a_later_method_replaces_the_one_of_a_whole_experiment(whole, method, tmp_path):
    """What follows is what the same file without its method would have made."""
    text, line = (FOLDER / whole).read_text(), f"include '{METHOD}'\n"
    assert text.count(line) == 1
    (tmp_path / "without.gin").write_text(text.replace(line, ""))
    composed = []
    for files in ([whole, method], [str(tmp_path / "without.gin"), method]):
        config.parse(files, roots=["search"])
        composed.append(gin.get_configurable(search)(tmp_path / "run", data=like_cifar10(), dry_run=True))
    assert composed[0] == composed[1]


@pytest.mark.parametrize(
    "binding, message",
    [
        ("EntropyDecay.entropy_gain = 0.1", "EntropyDecay.entropy_gain is never used"),
        ("SparseNoisySoftmax.smooth_scale = 100.0", "SparseNoisySoftmax.smooth_scale is never used"),
        ("ConstantTemperature.temperature = 2.0", None),
    ],
)
def test_a_binding_of_a_part_that_a_later_file_has_replaced_is_refused(binding, message):
    files = ["quickstart.gin", "methods/darts.gin"]
    if message is None:
        config.parse(files, [binding], roots=["search"])
        return
    with pytest.raises(config.UserError, match=message):
        config.parse(files, [binding], roots=["search"])
