"""The training recipe: its defaults, and what it refuses."""

import pytest

from tf_edd.data import Cutout
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.schedules import CosineRate
from tf_edd.training.recipe import TrainingRecipe


def test_defaults_are_those_of_nas_bench_201():
    recipe = TrainingRecipe().complete(200)
    assert recipe.rate == CosineRate(base=0.1, epochs=200, minimum=0.0)
    config = recipe.optimizer.get_config()
    assert (config["momentum"], config["nesterov"], config["weight_decay"]) == (0.9, True, 5e-4)
    assert (recipe.label_smoothing, recipe.weight_gradient_clip, recipe.extra_augmentation) == (0.0, None, ())


def test_what_is_given_is_kept():
    recipe = TrainingRecipe(SGD(), CosineRate(0.2, 3), extra_augmentation=[Cutout(4)])
    assert recipe.complete(3) == recipe and recipe.extra_augmentation == (Cutout(4),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", SGD),
        ("rate", 0.1),
        ("label_smoothing", 1.0),
        ("label_smoothing", "0.1"),
        ("drop_path_rate", 1.0),
        ("auxiliary_weight", -0.1),
        ("weight_gradient_clip", 0.0),
    ],
)
def test_refuses_values_out_of_range(name, value):
    with pytest.raises(UserError, match=f"{name} must"):
        TrainingRecipe(**{name: value})


@pytest.mark.parametrize("value", [Cutout(4), (4,), (Cutout,)])
def test_refuses_what_is_no_list_of_augmentations(value):
    with pytest.raises(UserError, match="extra_augmentation must be a list of augmentations"):
        TrainingRecipe(extra_augmentation=value)
