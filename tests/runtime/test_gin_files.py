"""What a later gin file replaces: recipes, methods and parts, at the top level and among included files."""

import gin
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import config
from tf_edd.runtime.gin_files import bindings, bound_by
from tf_edd.search import parts as _parts  # noqa: F401 (registers what the gin files name)

DIGITS = "datasets/digits.gin"
LEFT = ["recipes/nb201_cifar10_small.gin", "recipes/nb201_search_darts_v1.gin", "recipes/darts_family_small.gin"]


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def text(*files, params=()) -> str:
    """The configuration of a search from these files."""
    config.parse([DIGITS, *files], params, roots=("search",))
    return config.config_text(("search",))


def file(tmp_path, content, name="mine.gin") -> str:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return str(tmp_path / name)


@pytest.mark.parametrize("first", LEFT)
@pytest.mark.parametrize("second", LEFT)
def test_a_later_recipe_leaves_nothing_of_an_earlier_one(first, second):
    files = ["spaces/nas_bench_201.gin"] if "family" in first + second else []
    ends = [*files, "methods/edd_darts.gin", DIGITS]
    if "family" in second:  # it brings no space
        ends.insert(0, "spaces/s2.gin")
    assert text(first, second, *ends) == text(second, *ends)


RETRAINING = ["recipes/nb201_retrain_200_epochs.gin", "recipes/darts_retrain_cifar_600_epochs.gin"]


@pytest.mark.parametrize("order", [RETRAINING, RETRAINING[::-1]])
def test_a_later_recipe_of_a_retraining_leaves_nothing_of_an_earlier_one(order):
    def retraining(*files):
        config.parse([DIGITS, *files], roots=("retrain",))
        return config.config_text(("retrain",))

    assert retraining(*order) == retraining(order[1])


@pytest.mark.parametrize(
    "first",
    [
        ["methods/sd_edd_darts.gin"],
        ["methods/pcd_darts.gin"],
        ["methods/spos.gin", "selectors/evolution_small.gin"],
        ["papers/edd_darts/table5_s_100_lambda_0_12.gin"],
        ["papers/sd_darts/nb201_k2_cifar10.gin"],
        ["papers/pa_da/darts_pa_da.gin"],
    ],
)
@pytest.mark.parametrize("second", ["methods/darts.gin", "methods/pa.gin", "methods/pcd_darts.gin"])
def test_a_later_method_leaves_nothing_of_an_earlier_one(first, second):
    recipe = ["spaces/nas_bench_201.gin", "recipes/nb201_shallow.gin"]
    assert text(*first, second, *recipe, DIGITS) == text(second, *recipe, DIGITS)


def test_what_joins_a_method_comes_after_it():
    files = ["recipes/nb201_shallow.gin", "methods/edd_darts.gin", "methods/self_distillation.gin"]
    assert "SelfDistillation" in text(*files) and "SelfDistillation" not in text(*files, "methods/darts.gin")


def test_the_numbers_of_a_recipe_survive_a_later_method():
    assert "weights/SGD.weight_decay = 0.0005" in text("recipes/nb201_cifar10_small.gin", "methods/darts.gin")


@pytest.mark.parametrize(
    "content",
    [
        "include 'methods/edd_darts.gin'\n"
        "Method.temperature = @LinearTemperature()\nLinearTemperature.epochs = %epochs",
        "include 'methods/sd_edd_darts.gin'\ninclude 'methods/darts.gin'",
    ],
)
def test_a_file_can_replace_what_it_includes(tmp_path, content):
    found = text("recipes/nb201_shallow.gin", file(tmp_path, content))
    assert "EntropyDecay" not in found and "SelfDistillation" not in found


def test_a_binding_for_a_part_that_is_gone_is_refused(tmp_path):
    mine = file(tmp_path, "EntropyDecay.entropy_gain = 0.5")
    with pytest.raises(UserError, match="EntropyDecay.entropy_gain is never used: Method.temperature is @Constant"):
        text("recipes/nb201_cifar10_small.gin", "methods/darts.gin", mine)


@pytest.mark.parametrize(
    "param",
    [
        "EntropyDecay.entropy_gain = 0.24",  # of a part that a later file has replaced
        "num_validated_paths = 4",  # equal to the default, but nothing reads it
        "SGD.weight_decay = 0.5",  # weights/SGD.weight_decay hides it
    ],
)
def test_a_param_without_effect_is_refused(param):
    with pytest.raises(UserError, match=rf"{param.split(' ')[0]} is never used"):
        text("recipes/nb201_cifar10_small.gin", "methods/darts.gin", params=[param])


def test_which_bindings_texts_make_and_that_nothing_else_changes():
    gin.parse_config("epochs = 3")
    before = bindings()
    found = bound_by(["weights/SGD.momentum = 0.5", "warmup_epochs = 2"])
    assert found == {(("weights", "tf_edd.optimizers.SGD"), "momentum"), (("warmup_epochs", "gin.macro"), "value")}
    assert bindings() == before
