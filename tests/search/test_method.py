"""The composition of a method: what a step needs and refuses, and copies of the optimizers."""

import dataclasses

import keras
import pytest
from conformance.rows import Sigmoid
from tiny_search import EPOCHS, method

from tf_edd import optimizers, samplers, schedules, steps
from tf_edd.decisions import SequentialGreedy
from tf_edd.edges import AuxiliarySkip, PartialChannels
from tf_edd.errors import UserError
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import EdgeWeights, HardGumbel, Softmax
from tf_edd.search.method import Method, own_optimizer
from tf_edd.selectors import RandomSearch

SAMPLED = steps.SampledPaths(samplers.UniformPaths(), samplers.UniformImages())


def sampled(**changes):
    """A method without logits."""
    parts = {"weight_optimizer": optimizers.SGD(), "weight_rate": schedules.ConstantRate(0.1), "step": SAMPLED}
    return Method(**{**parts, **changes})


@pytest.mark.parametrize("part", ["relaxation", "arch_optimizer", "arch_rate"])
def test_a_part_that_the_step_needs_is_asked_for(part):
    with pytest.raises(UserError, match=f"FirstOrder needs Method.{part}. Received: none"):
        method(**{part: None})


def test_all_missing_parts_are_named():
    with pytest.raises(UserError, match="needs Method.relaxation and Method.arch_optimizer and Method.arch_rate"):
        method(relaxation=None, arch_optimizer=None, arch_rate=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"relaxation": Softmax()},
        {"temperature": schedules.LinearTemperature(epochs=3)},
        {"arch_rate": schedules.ConstantRate(0.1)},
        {"arch_optimizer": optimizers.Adam()},
        {"regularizers": (SelfDistillation(),)},
        {"warmup_epochs": 1},
        {"ticks": 3},
        {"arch_rate_cap": 0.1},
        {"entropy_temperature": 1.0},
        {"edges": (AuxiliarySkip(),)},
        {"edge_weights": EdgeWeights()},
    ],
)
def test_a_part_that_the_step_does_not_take_is_refused(changes):
    sampled()
    with pytest.raises(UserError, match=f"SampledPaths takes no {next(iter(changes))}: leave it out"):
        sampled(**changes)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"warmup_epochs": -1}, "warmup_epochs=-1"),
        (
            {"edges": (AuxiliarySkip(), AuxiliarySkip(0.5))},
            r"Each part of Method.edges may be there once. Received: edges=",
        ),
        ({"edges": (SelfDistillation(),)}, "Method.edges must be a list of edge parts such as @PartialChannels"),
        (
            {"edge_weights": EdgeWeights(), "relaxation": Sigmoid()},
            r"Method.edge_weights needs a relaxation whose rows are distributions. Received: relaxation=Sigmoid\(\)",
        ),
        ({"edge_weights": Softmax()}, "Method.edge_weights must be "),
        ({"ticks": 0}, "ticks must be an integer of at least 1 or None"),
        ({"arch_rate_cap": 0.0}, "arch_rate_cap must be a positive number or None"),
        (
            {"logit_init_scale": -1.0},
            "logit_init_scale must be a positive number or 0. Received: logit_init_scale=-1.0",
        ),
        ({"entropy_temperature": -1.0}, "entropy_temperature must be a positive number or None"),
    ],
)
def test_values_out_of_range_are_refused(changes, told):
    with pytest.raises(UserError, match=told):
        method(**changes)


def test_a_search_in_which_nothing_moves_is_refused():
    method(warmup_epochs=EPOCHS - 0.5).check(EPOCHS)
    with pytest.raises(UserError, match=f"warmup_epochs must be below epochs = {EPOCHS}"):
        method(warmup_epochs=EPOCHS).check(EPOCHS)
    with pytest.raises(UserError, match=f"acts in none of the {EPOCHS} epochs"):
        method(regularizers=(SelfDistillation(warmup_epochs=EPOCHS),)).check(EPOCHS)


def test_the_rate_of_the_logits_is_capped_in_units_of_the_temperature():
    """min(0.1, 0.5 t), with t above and below 0.2."""
    rates = {"weight_rate": schedules.ConstantRate(0.3), "arch_rate": schedules.ConstantRate(0.1)}
    assert method(**rates).rates(0, 1e-3) == {"weights": 0.3, "arch": 0.1}
    capped = method(**rates, arch_rate_cap=0.5)
    assert capped.rates(0, 1.0) == {"weights": 0.3, "arch": 0.1}
    assert capped.rates(0, 1e-3) == {"weights": 0.3, "arch": 5e-4}


def test_rates_follow_a_fraction_of_an_epoch():
    """Half a cosine from 1 to 0 over 4 epochs: cos(pi / 8)^2 = 0.853553 at the first, half way at the second."""
    found = method(weight_rate=schedules.CosineRate(1.0, 4))
    assert found.rates(1, 1.0)["weights"] == pytest.approx(0.8535534) == found.rates(1.0, 1.0)["weights"]
    assert 0.5 < found.rates(1.5, 1.0)["weights"] < 0.8535534


def test_lists_become_tuples_and_nothing_can_be_set():
    made = method(regularizers=[SelfDistillation()])
    assert made.regularizers == (SelfDistillation(),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.warmup_epochs = 3


def test_a_search_gets_copies_of_the_optimizers():
    made = method()
    copy = made.prepared()
    assert copy.weight_optimizer is not made.weight_optimizer and copy.step is made.step
    assert copy.weight_optimizer.get_config() == made.weight_optimizer.get_config()
    assert sampled().prepared().arch_optimizer is None


def test_float16_scales_the_loss():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        scaled = own_optimizer(optimizers.SGD(momentum=0.5))
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer) and scaled.inner_optimizer.momentum == 0.5
    assert not isinstance(own_optimizer(optimizers.SGD()), keras.optimizers.LossScaleOptimizer)


def test_a_relaxation_that_runs_one_candidate_alone_has_nothing_of_a_mixture_around_it():
    for around in ({"edges": (PartialChannels(2),)}, {"edge_weights": EdgeWeights()}):
        with pytest.raises(UserError, match="HardGumbel runs one candidate of an edge alone.*Received: [PE]"):
            method(relaxation=HardGumbel(), **around)


def test_decisions_are_of_plain_mixtures_and_choose_the_cell():
    with pytest.raises(UserError, match="Method.decisions choose the cell.*Received: selector=RandomSearch"):
        method(decisions=SequentialGreedy(), selector=RandomSearch())
    for parts in ({"relaxation": HardGumbel()}, {"edge_weights": EdgeWeights()}, {"edges": (PartialChannels(),)}):
        with pytest.raises(UserError, match="Method.decisions expect a mixture.*Received: [HEP]"):
            method(decisions=SequentialGreedy(), **parts)


def test_the_bypass_of_partial_channels_takes_distributions():
    with pytest.raises(UserError, match="PartialChannels needs a relaxation whose rows are distributions"):
        method(relaxation=Sigmoid(), edges=(PartialChannels(2),))
