"""A method from gin files is the one that a person writes in Python."""

import gin
import numpy as np
import pytest

from tf_edd import optimizers, regularizers, samplers, schedules, selectors, steps
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.relaxations import Softmax, SparseNoisySoftmax
from tf_edd.runtime.record import describe
from tf_edd.search.load_method import _text, load_method
from tf_edd.search.method import Method


@pytest.fixture(autouse=True)
def clean_gin():
    gin.clear_config()
    yield
    gin.clear_config()


def weights(epochs):
    """The optimizer of the weights and its learning rate, by gin_configs/defaults.gin."""
    return {
        "weight_optimizer": optimizers.SGD(momentum=0.9, nesterov=False, weight_decay=3e-4),
        "weight_rate": schedules.CosineRate(base=0.025, minimum=0.001, epochs=epochs),
    }


def logits():
    """Those of the logits."""
    return {
        "arch_optimizer": optimizers.Adam(beta_1=0.5, beta_2=0.999, weight_decay=1e-3),
        "arch_rate": schedules.ConstantRate(3e-4),
    }


def first_order(**changes):
    values = {"order": "weights_first", "weight_gradient_clip": 5.0, "arch_gradient_clip": None, "skip_unused": False}
    values["negligible_weight"] = 2**-32
    return steps.FirstOrder(**{**values, **changes})


def test_edd_darts_is_the_method_written_by_hand():
    by_hand = Method(
        step=first_order(),
        relaxation=SparseNoisySoftmax(smooth_temperature=1.0),
        temperature=schedules.EntropyDecay(entropy_gain=0.06),
        discretizer=Argmax(),
        **weights(25),
        **logits(),
    )
    assert describe(load_method("methods/edd_darts.gin", epochs=25)) == describe(by_hand)


def test_files_and_macros_join():
    by_hand = Method(
        step=first_order(order="arch_first", arch_gradient_clip=5.0),
        relaxation=Softmax(),
        regularizers=(regularizers.SelfDistillation(weight=1.0),),
        warmup_epochs=2,
        **weights(50),
        **logits(),
    )
    found = load_method(
        "methods/darts.gin",
        "methods/self_distillation.gin",
        epochs=50,
        step_order="arch_first",
        arch_gradient_clip=5.0,
        warmup_epochs=2,
    )
    assert describe(found) == describe(by_hand)


def test_sampled_paths_take_no_logits():
    by_hand = Method(
        step=steps.SampledPaths(
            paths=samplers.FairPaths(),
            images=samplers.UniformImages(),
            weight_gradient_clip=5.0,
            num_validated_paths=4,
            variance_draws=10,
        ),
        selector=selectors.RandomSearch(100),
        **weights(5),
    )
    found = load_method("methods/fairnas.gin", "selectors/random_small.gin", epochs=5)
    assert describe(found) == describe(by_hand)


def test_a_recipe_may_be_among_the_files_and_a_macro_overrides_it():
    found = load_method("recipes/nb201_shallow.gin", "methods/edd_darts.gin", warmup_epochs=0)
    assert found.temperature.entropy_gain == 0.24 and found.step.arch_gradient_clip == 5.0
    assert found.warmup_epochs == 0 and found.weight_rate.epochs == 25


def test_two_calls_give_parts_of_their_own():
    first, second = (load_method("methods/edd_darts.gin", epochs=3) for _ in range(2))
    assert first.weight_optimizer is not second.weight_optimizer and describe(first) == describe(second)


@pytest.mark.parametrize(
    "gin_files, macros, told",
    [
        (("methods/edd_darts.gin",), {"epochs": 3, "entropy_gian": 0.5}, "The nearest: entropy_gain"),
        (("methods/darts.gin",), {"epochs": 3, "entropy_gain": 0.5}, "entropy_gain is never used"),
        (("methods/edd_darts.gin",), {}, "Expected values for epochs"),
        (("methods/edd_dart.gin",), {"epochs": 3}, "nearest: methods/edd_darts.gin"),
        (("methods/self_distillation.gin",), {"epochs": 3}, "Expected values for Method.step"),
        (("selectors/random.gin",), {"epochs": 3}, "Expected values for Method.step"),
        (("methods/darts.gin",), {"epochs": -1}, "epochs=-1"),
    ],
)
def test_what_cannot_be_composed_is_refused(gin_files, macros, told):
    with pytest.raises(UserError, match=told):
        load_method(*gin_files, **macros)


@pytest.mark.parametrize("value", [object(), schedules.ConstantRate(0.1), float("inf"), {1}, [np.float64("nan")], 1j])
def test_a_macro_that_gin_cannot_write_is_refused(value):
    told = "A macro must be a number, a text or a list of these. Received: entropy_gain="
    with pytest.raises(UserError, match=told) as refused:
        load_method("methods/edd_darts.gin", epochs=3, entropy_gain=value)
    assert "0x" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "value, text",
    [(np.array([0.25, 2]), "[0.25, 2.0]"), ([np.float64(0.25), (np.int64(2),)], "[0.25, (2,)]"), (np.int64(2), "2")],
)
def test_numpy_numbers_become_numbers_of_python(value, text):
    assert _text("betas", value) == text


@pytest.mark.parametrize("finalized", [False, True])
def test_the_configuration_of_gin_stays(finalized):
    gin.parse_config("EntropyDecay.entropy_gain = 0.5\nsearch.batch_size = 3\nepochs = 7")
    if finalized:
        gin.finalize()
    before = gin.config_str()
    assert load_method("methods/edd_darts.gin", epochs=3).temperature.entropy_gain == 0.06
    with pytest.raises(UserError):
        load_method("methods/none.gin", epochs=3)
    assert gin.config_str() == before and gin.config_is_locked() == finalized
    assert gin.get_configurable(schedules.EntropyDecay)().entropy_gain == 0.5  # gin's own value still holds
