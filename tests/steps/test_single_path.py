"""Steps that run one candidate an edge: against GDAS as released, in float64 NumPy, and what the settings say."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import forward, single_path_cell
from tiny_search import method, tiny_space

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import HardGumbel, SoftGumbel
from tf_edd.relaxations.gumbel import gumbel
from tf_edd.runtime.seeds import step_seed
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import Batch, FirstOrder, OneLevel, StepInfo, StepSetup

TEMPERATURE, SEED = 0.7, 5


@pytest.fixture(autouse=True)
def plain_machine():
    """Float32 before and after each test."""
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


def batch(seed, size=4):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 8, 8, 3)).astype(np.float32)
    return Batch(tf.constant(images), tf.constant(rng.integers(0, 3, size), tf.int32))


BATCHES = {"weights": batch(1), "arch": batch(2)}


class Trial:
    """A step on a small supernet of NAS-Bench-201; all variables take their gradients as they are."""

    def __init__(self, part=None, relaxation=None, space=None, xla=False, supernet=None, **parts):
        keras.utils.set_random_seed(3)
        self.supernet = Supernet(space or nas_bench_201(4, 1), 3, **(supernet or {}))
        self.supernet.build((None, 8, 8, 3))
        self.logits = ArchLogits(self.supernet.space, seed=0, init_scale=0.5)
        plain = {"momentum": 0.0, "weight_decay": 0.0}
        parts = {"weight_optimizer": SGD(1.0, **plain), "arch_optimizer": SGD(1.0, **plain), **parts}
        part, relaxation = part or FirstOrder(weight_gradient_clip=None), relaxation or HardGumbel()
        self.method = method(step=part, relaxation=relaxation, **parts)
        self.step = part.build(StepSetup(self.supernet, self.logits, self.method, xla=xla, seed=SEED))

    def take(self, *phases, index=4):
        """What weights and logits move by: their gradients; and the scalars."""
        before = self.values()
        scalars = self.step(BATCHES, StepInfo(index, temperature=TEMPERATURE, phases=phases or ("weights", "arch")))
        moved = {
            name: [a - b for a, b in zip(before[name], value, strict=True)] for name, value in self.values().items()
        }
        return moved["weights"], moved["logits"][0], {tag: float(value) for tag, value in scalars.items()}

    def values(self):
        both = {"weights": self.supernet.trainable_variables, "logits": self.logits.variables}
        return {name: [variable.numpy() for variable in variables] for name, variables in both.items()}


class Model:
    """GDAS as released, in NumPy: the noise of a pass, and the loss as a function of all weights and of h."""

    def __init__(self, trial, batch, phase, index=4):
        self.weights = [value.astype(np.float64) for value in trial.values()["weights"]]
        self.images, self.labels = batch.images.numpy(), batch.labels.numpy()
        noise = gumbel((6, 5), tf.random.fold_in(step_seed(SEED, tf.constant(index, tf.int64), phase), 0)).numpy()
        logits = trial.logits.numpy()["cell"].astype(np.float64)
        self.q = np.exp((logits - np.log(np.exp(logits).sum(1, keepdims=True)) + noise) / TEMPERATURE)
        self.q /= self.q.sum(1, keepdims=True)
        self.hard = np.eye(5)[self.q.argmax(1)]

    def loss(self, h=None, weights=None):
        outputs = forward(self.images, self.hard if h is None else h, weights or self.weights, cell=single_path_cell)
        logs = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
        return -logs[np.arange(len(self.labels)), self.labels].mean()

    def by_h(self, size=1e-7):
        """Central differences, in steps below the distance to the kinks of the ReLU."""
        found = np.zeros((6, 5))
        for place in np.ndindex(6, 5):
            step = np.zeros((6, 5))
            step[place] = size
            found[place] = (self.loss(self.hard + step) - self.loss(self.hard - step)) / (2 * size)
        return found

    def by_logits(self, by_h):
        """Through q alone: h = one_hot(q) + q - q.detach()."""
        return self.q * (by_h - (self.q * by_h).sum(1, keepdims=True)) / TEMPERATURE

    def along(self, directions, size=1e-7):
        """The derivative of the loss by the weights along directions."""
        ahead, back = (
            self.loss(weights=[w + sign * size * d for w, d in zip(self.weights, directions, strict=True)])
            for sign in (1, -1)
        )
        return (ahead - back) / (2 * size)


@pytest.mark.parametrize("unselected", [True, False])
def test_the_logits_follow_the_released_gradient(unselected):
    trial = Trial(relaxation=HardGumbel(unselected))
    model = Model(trial, BATCHES["arch"], "arch")
    moved, gradient, scalars = trial.take("arch")
    assert scalars["loss/arch"] == pytest.approx(model.loss(), rel=1e-4)
    by_h = model.by_h()
    expected = model.by_logits(by_h if unselected else by_h * model.hard)
    np.testing.assert_allclose(gradient, expected, rtol=2e-3, atol=2e-5)
    assert not any(np.any(each) for each in moved)
    other = model.by_logits(by_h * model.hard if unselected else by_h)
    assert np.abs(expected - other).max() > 1e-2


def check_weight_gradients(trial, model, gradients):
    """Their derivative along random directions, and that only drawn candidates have any."""
    directions = [np.random.default_rng(place).normal(size=each.shape) for place, each in enumerate(gradients)]
    found = sum(np.sum(a * b) for a, b in zip(gradients, directions, strict=True))
    assert found == pytest.approx(model.along(directions), rel=1e-3)
    by_variable = {id(v): each for v, each in zip(trial.supernet.trainable_variables, gradients, strict=True)}
    for _, edge, position, operation in trial.supernet.candidates():
        for variable in operation.trainable_variables:
            assert np.any(by_variable[id(variable)]) == bool(model.hard[edge, position])


def test_the_weights_of_drawn_candidates_alone_have_a_gradient():
    trial = Trial()
    model = Model(trial, BATCHES["weights"], "weights")
    gradients, by_logits, scalars = trial.take("weights")
    assert scalars["loss/weights"] == pytest.approx(model.loss(), rel=1e-4)
    check_weight_gradients(trial, model, gradients)
    assert not np.any(by_logits)


@pytest.mark.parametrize("phases", [("weights", "arch"), ("weights",)], ids=" ".join)
def test_one_level_moves_both_by_the_gradients_of_one_loss(phases):
    """In a warm-up the weights alone, by the same gradient."""
    trial = Trial(OneLevel(weight_gradient_clip=None))
    model = Model(trial, BATCHES["weights"], "weights")
    gradients, by_logits, scalars = trial.take(*phases)
    assert scalars["loss/weights"] == pytest.approx(model.loss(), rel=1e-4)
    check_weight_gradients(trial, model, gradients)
    tags = {"loss/weights", "accuracy/train", "weights/gradient_norm"}
    if phases == ("weights",):
        assert not np.any(by_logits) and set(scalars) == tags
        return
    np.testing.assert_allclose(by_logits, model.by_logits(model.by_h()), rtol=2e-3, atol=2e-5)
    assert set(scalars) == tags | {"loss/arch", "arch/logit_gradient_norm"}
    assert scalars["arch/logit_gradient_norm"] == pytest.approx(np.linalg.norm(by_logits), rel=1e-4)


def test_candidates_that_are_not_drawn_are_not_run():
    """Running them would poison the step, even with a weight of 0. Each phase draws anew."""
    trial = Trial()
    first, second = (Model(trial, BATCHES[phase], phase).hard for phase in ("weights", "arch"))
    assert not np.array_equal(first, second)
    for _, edge, position, operation in trial.supernet.candidates():
        if not first[edge, position] and not second[edge, position]:
            for variable in operation.trainable_variables:
                variable.assign(np.full(variable.shape, np.nan))
    _, by_logits, scalars = trial.take()
    assert np.isfinite(list(scalars.values())).all() and np.isfinite(by_logits).all() and np.any(by_logits)


def test_one_level_unscales_the_gradients_of_each_optimizer_by_its_own_factor():
    """Under float16 each scales the loss as it likes; factors that are powers of 2 lose no digit."""

    def moved(*scales):
        optimizers = [SGD(1.0, momentum=0.0, weight_decay=0.0) for _ in range(2)]
        if scales:
            optimizers = [keras.optimizers.LossScaleOptimizer(*pair) for pair in zip(optimizers, scales, strict=True)]
        parts = dict(zip(("weight_optimizer", "arch_optimizer"), optimizers, strict=True))
        return Trial(OneLevel(weight_gradient_clip=None), SoftGumbel(), tiny_space(), **parts).take()

    for found, expected in zip(tf.nest.flatten(moved(1024.0, 8.0)), tf.nest.flatten(moved()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_self_distillation_and_exploration_go_with_it():
    """What a step takes besides; the teacher is the mixture of softmax(A)."""
    for step in (FirstOrder(exploration=0.5), OneLevel()):
        trial = Trial(step, regularizers=(SelfDistillation(warmup_epochs=0),), arch_optimizer=Adam(1e-2))
        for index in range(2):
            weights, by_logits, scalars = trial.take(index=index)
            assert np.isfinite(list(scalars.values())).all() and np.any(by_logits)
            assert all(np.isfinite(each).all() for each in weights)


@pytest.mark.slow
@pytest.mark.parametrize("part", [FirstOrder(), OneLevel()], ids=repr)
def test_xla_compiles_a_single_path(part):
    """With other noise from the same seed, so the step is only finite, and moves both."""
    trial = Trial(part, space=tiny_space(), xla=True)
    weights, by_logits, scalars = trial.take()
    assert np.isfinite(list(scalars.values())).all()
    assert any(np.any(each) for each in weights) and np.any(by_logits)


@pytest.mark.parametrize("relaxation, leaves_out", [(HardGumbel(), False), (None, True)])
def test_nothing_is_negligible_where_a_single_candidate_is_run(relaxation, leaves_out):
    """No second trace, whatever the probabilities without noise."""
    part = FirstOrder(skip_unused="auto", negligible_weight=1e-3)
    trial = Trial(part, relaxation or SoftGumbel(), tiny_space())
    trial.logits.variables[0].assign(30.0 * np.eye(2))
    trial.take()
    trial.step.end_epoch(None)
    (skips,) = trial.step.variables["skips"]
    assert bool(skips.numpy()) is leaves_out


def test_moving_averages_on_several_replicas_are_refused():
    class Two:
        num_replicas_in_sync = 2

    for part in (FirstOrder(), OneLevel()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tf.distribute, "get_strategy", Two)
            with pytest.raises(UserError, match="HardGumbel keeps no moving averages.*Received: True with 2"):
                Trial(part, supernet={"running_statistics": True})
