"""The search step on one device: order, gradients, clipping, regularizers, noise, traces, XLA, precision."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import Regularizer
from tf_edd.relaxations import Softmax, SparseNoisySoftmax
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import Block, CellSpec, Edge, Space, nas_bench_201
from tf_edd.steps import FirstOrder, StepInfo, StepSetup, first_order

SPACE = nas_bench_201(4, 1)
RATE = 0.1


@pytest.fixture(autouse=True)
def plain_machine():
    """Float32 before and after each test."""
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


def batch(seed, size=8):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 8, 8, 3)).astype(np.float32)
    return tf.constant(images), tf.constant(rng.integers(0, 3, size), tf.int32)


TRAIN, VALID = batch(1), batch(2)


class LinearNet:
    """A stand-in for the supernet: 10 x mean pixel x W, times a linear function of the probabilities."""

    def __init__(self):
        self.kernel = keras.Variable(np.random.default_rng(0).normal(size=(3, 3)), dtype="float32", name="kernel")
        self.trainable_variables = [self.kernel]
        self.modes = []

    def __call__(self, images, probs, training, unused, fixed_weights):
        self.modes.append((training, unused, fixed_weights))
        means = tf.reduce_mean(images, [1, 2]) * 10
        table = probs["cell"]
        mixed = tf.reduce_sum(table[:3, :3] * [[1.0, 2.0, -1.0]], 0)
        return tf.matmul(means, tf.convert_to_tensor(self.kernel)) * mixed


def method(relaxation, optimizers, regularizers=(), **settings) -> Method:
    return Method(
        step=FirstOrder(**settings),
        relaxation=relaxation,
        weight_optimizer=optimizers[0],
        arch_optimizer=optimizers[1],
        weight_rate=ConstantRate(RATE),
        arch_rate=ConstantRate(RATE),
        regularizers=tuple(regularizers),
    )


class Setup:
    """A step over the linear stand-in (or the supernet) with plain SGD of rate 0.1 for both phases."""

    def __init__(self, net=None, relaxation=None, optimizers=None, xla=False, seed=0, **settings):
        self.net, self.temperature = net or LinearNet(), 1.0
        self.logits = ArchLogits(SPACE, seed=0, init_scale=0.5)
        self.optimizers = optimizers or [SGD(learning_rate=RATE, momentum=0.0, weight_decay=0.0) for _ in range(2)]
        parts = method(relaxation or Softmax(), self.optimizers, **{"weight_gradient_clip": None, **settings})
        self.step = parts.step.build(StepSetup(self.net, self.logits, parts, xla=xla, seed=seed))

    @property
    def weights(self):
        return np.concatenate([variable.numpy().ravel() for variable in self.net.trainable_variables])

    @property
    def alphas(self):
        return self.logits.numpy()["cell"]

    def take(self, index=0, phases=("weights", "arch")):
        info = StepInfo(index, temperature=self.temperature, phases=phases)
        scalars = self.step({"weights": TRAIN, "arch": VALID}, info)
        return {tag: float(value) for tag, value in scalars.items()}


def built_supernet(space=SPACE, **settings):
    keras.utils.set_random_seed(3)
    supernet = Supernet(space, 3, **settings)
    supernet.build((None, 8, 8, 3))
    return supernet


def loss_and_gradients(net, kernel, alphas, data, relaxation=None, temperature=1.0):
    """Cross entropy and its gradients by the formula, independent of the step's code."""
    kernel, alphas = tf.constant(kernel.reshape(3, 3)), tf.constant(alphas)
    images, labels = data
    with tf.GradientTape() as tape:
        tape.watch([kernel, alphas])
        probs = (relaxation or Softmax())(alphas, temperature)
        mixed = tf.reduce_sum(probs[:3, :3] * [[1.0, 2.0, -1.0]], 0)
        outputs = tf.matmul(tf.reduce_mean(images, [1, 2]) * 10, kernel) * mixed
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True))
    by_kernel, by_alphas = tape.gradient(loss, [kernel, alphas])
    return float(loss), by_kernel.numpy().ravel(), by_alphas.numpy()


@pytest.mark.parametrize("order", ["weights_first", "arch_first"])
def test_the_second_phase_sees_what_the_first_has_done(order):
    setup = Setup(order=order)
    w, a = setup.weights, setup.alphas
    if order == "weights_first":
        loss_w, by_w, _ = loss_and_gradients(setup.net, w, a, TRAIN)
        w = w - RATE * by_w
        loss_a, _, by_a = loss_and_gradients(setup.net, w, a, VALID)
        a = a - RATE * by_a
    else:
        loss_a, _, by_a = loss_and_gradients(setup.net, w, a, VALID)
        a = a - RATE * by_a
        loss_w, by_w, _ = loss_and_gradients(setup.net, w, a, TRAIN)
        w = w - RATE * by_w
    scalars = setup.take()
    np.testing.assert_allclose(setup.weights, w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(setup.alphas, a, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([scalars["loss/weights"], scalars["loss/arch"]], [loss_w, loss_a], rtol=1e-5)
    np.testing.assert_allclose(scalars["weights/gradient_norm"], np.linalg.norm(by_w), rtol=1e-5)
    np.testing.assert_allclose(scalars["arch/logit_gradient_norm"], np.linalg.norm(by_a), rtol=1e-5)


def test_each_phase_changes_its_own_variables_only():
    setup = Setup()
    w, a = setup.weights, setup.alphas
    assert "loss/arch" not in setup.take(phases=("weights",))
    np.testing.assert_array_equal(setup.alphas, a)
    assert np.abs(setup.weights - w).max() > 1e-4
    w = setup.weights
    assert "loss/weights" not in setup.take(phases=("arch",))
    np.testing.assert_array_equal(setup.weights, w)
    assert np.abs(setup.alphas - a).max() > 1e-4


def test_the_logits_use_the_gradient_of_the_relaxation_at_the_temperature():
    setup = Setup(relaxation=SparseNoisySoftmax())
    setup.temperature = 0.3
    a = setup.alphas
    _, _, by_a = loss_and_gradients(setup.net, setup.weights, a, VALID, SparseNoisySoftmax(), 0.3)
    setup.take(phases=("arch",))
    np.testing.assert_allclose(a - setup.alphas, RATE * by_a, rtol=1e-4, atol=1e-6)
    _, _, plain = loss_and_gradients(setup.net, setup.weights, a, VALID, Softmax(), 0.3)
    assert np.abs(by_a - plain).max() > 1e-3


@pytest.mark.parametrize("share", [0.1, 0.9, 1.1])
@pytest.mark.parametrize("phase", ["weights", "arch"])
def test_clips_the_global_norm_of_its_phase(phase, share):
    w, a = Setup().weights, Setup().alphas
    _, by_w, _ = loss_and_gradients(None, w, a, TRAIN)
    _, _, by_a = loss_and_gradients(None, w, a, VALID)
    gradient = by_w if phase == "weights" else by_a
    norm = np.linalg.norm(gradient)
    name = "weight_gradient_clip" if phase == "weights" else "arch_gradient_clip"
    setup = Setup(**{name: float(share * norm)})
    scalars = setup.take(phases=(phase,))
    moved = w - setup.weights if phase == "weights" else a - setup.alphas
    np.testing.assert_allclose(moved, RATE * gradient * min(1, share * norm / (norm + 1e-6)), rtol=1e-4, atol=1e-6)
    told = scalars["weights/gradient_norm" if phase == "weights" else "arch/logit_gradient_norm"]
    np.testing.assert_allclose(told, norm, rtol=1e-5)


def test_clips_before_weight_decay_is_added():
    decayed = [SGD(learning_rate=RATE, momentum=0.0, weight_decay=0.5) for _ in range(2)]
    setup = Setup(optimizers=decayed, weight_gradient_clip=1e-3)
    w = setup.weights
    _, gradient, _ = loss_and_gradients(None, w, setup.alphas, TRAIN)
    setup.take(phases=("weights",))
    expected = RATE * (gradient * 1e-3 / np.linalg.norm(gradient) + 0.5 * w)
    np.testing.assert_allclose(w - setup.weights, expected, rtol=1e-4, atol=1e-6)


class Penalty(Regularizer):
    """Half the squared norm of the variables of both phases."""

    def __init__(self, phase):
        self.phases, self.contexts = (phase,), []

    def __call__(self, context):
        self.contexts.append(context)
        kernel = tf.convert_to_tensor(context.supernet.kernel)
        return tf.nn.l2_loss(context.logits["cell"]) + tf.nn.l2_loss(kernel)


@pytest.mark.parametrize("phase", ["weights", "arch"])
def test_a_regularizer_works_in_its_phase_alone(phase):
    penalty = Penalty(phase)
    setup, plain = Setup(regularizers=[penalty]), Setup()
    other = "arch" if phase == "weights" else "weights"
    assert setup.take(phases=(other,)) == plain.take(phases=(other,))
    assert not penalty.contexts
    value = setup.alphas if phase == "arch" else setup.weights
    difference = setup.take(phases=(phase,))[f"loss/{phase}"] - plain.take(phases=(phase,))[f"loss/{phase}"]
    moved, plainly = (s.alphas if phase == "arch" else s.weights for s in (setup, plain))
    np.testing.assert_allclose(plainly - moved, RATE * value, rtol=1e-3, atol=1e-6)
    assert difference > 1
    context = penalty.contexts[0]
    assert context.phase == phase and context.images.shape == (8, 8, 8, 3) and context.outputs.shape == (8, 3)
    assert context.probs["cell"].shape == (6, 5) and context.seed.shape == (2,)


class NoisyRelaxation:
    """Softmax of disturbed logits."""

    def __call__(self, logits, temperature, seed):
        return tf.nn.softmax((logits + tf.random.stateless_normal(logits.shape, seed)) / temperature)

    def mean(self, logits, temperature):
        return tf.nn.softmax(logits / temperature)


def losses(seed, *indices, phases=("weights", "arch")):
    setup = Setup(
        relaxation=NoisyRelaxation(), seed=seed, optimizers=[SGD(0.0, weight_decay=0.0), SGD(0.0, weight_decay=0.0)]
    )  # nothing moves
    return [tuple(setup.take(index, phases)[f"loss/{phase}"] for phase in phases) for index in indices]


def test_noise_is_a_function_of_seed_step_and_phase():
    first, again, later = losses(0, 4, 4, 5)
    assert first == again  # the same index
    assert losses(0, 4) == [first]  # another process would draw the same
    assert first[0] != later[0] and first[1] != later[1]
    assert losses(1, 4) != [first]


@pytest.fixture
def eager():
    """Functions run line by line, so that Python sees their numbers."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_phases_and_kinds_have_their_own_noise(eager):
    seeds = []

    class Recorder(Softmax):
        def __call__(self, logits, temperature, seed=None):
            seeds.append(tuple(seed.numpy()))
            return tf.nn.softmax(logits)

    def net(images, probs, training, unused, fixed_weights):
        return tf.zeros((8, 3)) + probs["a"][0, 0] * probs["b"][0, 1]

    net.trainable_variables = [keras.Variable(1.0)]
    edges = (Edge(0, 1, ("none", "skip_connect")),)
    space = Space("two", tuple(CellSpec(cell_type, 1, 2, edges) for cell_type in ("a", "b")), ())
    parts = method(Recorder(), [SGD(), SGD()])
    step = parts.step.build(StepSetup(net, ArchLogits(space, seed=0), parts))
    for index in (0, 1, 1):
        step({"weights": TRAIN, "arch": VALID}, StepInfo(index))
    assert len(set(seeds[:8])) == 8  # two steps, two phases, two kinds
    assert seeds[8:] == seeds[4:8]  # the same step again


def test_one_trace_whatever_changes():
    setup = Setup()
    for index, temperature in enumerate((1.0, 1e-2, 1e-4)):
        setup.temperature = temperature
        for optimizer in setup.optimizers:
            optimizer.learning_rate = 0.1 / (index + 1)
        setup.take(index)
        setup.take(10_000 + index)
    assert [function.experimental_get_tracing_count() for function in setup.step.functions.traced.values()] == [1, 1]


@pytest.mark.parametrize(
    "settings, weights, arch",
    [
        ({}, None, None),
        ({"skip_unused": True}, Unused(2**-32), Unused(2**-32, forward=True)),
        ({"skip_unused": True, "negligible_weight": 1e-3}, Unused(1e-3), Unused(1e-3, forward=True)),
        ({"negligible_weight": 1e-3}, None, None),
    ],
)
def test_each_step_says_what_it_leaves_out_and_has_gradients_of_its_own_variables(settings, weights, arch):
    setup = Setup(**settings)
    setup.take()
    assert setup.net.modes == [(True, weights, False), (True, arch, True)]


def test_refuses_a_threshold_at_which_a_search_would_begin_with_nothing():
    FirstOrder(negligible_weight=0.19).check(SPACE, None)
    with pytest.raises(UserError, match=r"below 1/5, .* Received: negligible_weight=0.2$"):
        FirstOrder(negligible_weight=0.2).check(SPACE, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "both"},
        {"weight_gradient_clip": -1.0},
        {"weight_gradient_clip": 0.0},
        {"arch_gradient_clip": -0.1},
        {"arch_gradient_clip": float("nan")},
        {"negligible_weight": 0},
        {"exploration": 1.0},
        {"exploration": -0.1},
    ],
)
def test_refuses_impossible_settings(wrong):
    with pytest.raises(UserError, match="Received"):
        FirstOrder(**wrong)


def test_only_the_weights_explore(monkeypatch):
    """Probabilities of 0 in their place: the stand-in multiplies by them, so its kernel has no gradient."""
    calls = []

    def nothing(probs, share, seed):
        calls.append(share)
        return {cell_type: tf.zeros_like(value) for cell_type, value in probs.items()}

    monkeypatch.setattr(first_order, "explored", nothing)
    setup = Setup(exploration=0.25)
    kernel, alphas = setup.weights, setup.alphas
    setup.take()
    assert calls == [0.25] and np.array_equal(setup.weights, kernel) and not np.array_equal(setup.alphas, alphas)


def steps_on_the_supernet(count=2, rate=0.05, optimizers=None, space=SPACE, **settings):
    optimizers = optimizers or [SGD(rate, weight_decay=5e-4), Adam(1e-2)]
    setup = Setup(built_supernet(space), SparseNoisySoftmax(), optimizers, weight_gradient_clip=1.0, **settings)
    start = setup.weights, setup.alphas
    return setup, start, [setup.take(index) for index in range(count)]


@pytest.mark.slow
def test_skipping_unused_operations_gives_the_same_search():
    setups, space = [], dataclasses.replace(SPACE, blocks=(*SPACE.blocks[:3], Block("head", 8)))  # sooner traced
    for skip_unused in (False, True):
        setup = Setup(built_supernet(space), SparseNoisySoftmax(), skip_unused=skip_unused)
        setup.temperature = 1e-3  # probabilities far below float32's smallest number
        for index in range(2):
            setup.take(index)
        setups.append(setup)
    np.testing.assert_allclose(setups[1].weights, setups[0].weights, atol=1e-5)
    np.testing.assert_allclose(setups[1].alphas, setups[0].alphas, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_xla_gives_the_same_numbers():
    stem, cell, reduction, *_ = SPACE.blocks
    space = dataclasses.replace(SPACE, blocks=(stem, cell, reduction, Block("head", 8)))  # soon compiled
    plain, _, expected = steps_on_the_supernet(space=space)
    compiled, _, scalars = steps_on_the_supernet(space=space, xla=True)
    for tag, value in expected[0].items():
        np.testing.assert_allclose(scalars[0][tag], value, rtol=1e-3, err_msg=tag)
    np.testing.assert_allclose(compiled.weights, plain.weights, atol=1e-4)
    np.testing.assert_allclose(compiled.alphas, plain.alphas, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_variables_and_relaxation_in_float32(policy):
    _, _, expected = steps_on_the_supernet(1)
    keras.config.set_dtype_policy(policy)
    optimizers = [SGD(0.05, weight_decay=5e-4), Adam(1e-2)]
    if policy == "mixed_float16":
        optimizers = [keras.optimizers.LossScaleOptimizer(optimizer, 1024.0) for optimizer in optimizers]
    seen = []

    class Watched(Regularizer):
        phases = ("arch",)

        def __call__(self, context):
            seen.append((context.probs["cell"].dtype, context.logits["cell"].dtype, context.outputs.dtype))
            return 0.0

    setup, (weights, alphas), scalars = steps_on_the_supernet(2, optimizers=optimizers, regularizers=[Watched()])
    assert setup.net.blocks[1].compute_dtype == policy.removeprefix("mixed_")
    assert seen == [(tf.float32,) * 3]
    assert {variable.dtype for variable in (*setup.net.variables, *setup.logits.variables)} == {"float32"}
    assert all(np.isfinite(value) for step in scalars for value in step.values())
    assert np.abs(setup.weights - weights).max() > 1e-4 and np.abs(setup.alphas - alphas).max() > 1e-4
    # Eight or eleven bits of precision: near the float32 step, and not equal to it.
    assert scalars[0]["loss/weights"] == pytest.approx(expected[0]["loss/weights"], rel=0.05)
    assert scalars[0]["loss/weights"] != expected[0]["loss/weights"]
    assert scalars[0]["weights/gradient_norm"] == pytest.approx(expected[0]["weights/gradient_norm"], rel=0.2)


@pytest.mark.slow
def test_float16_recovers_from_an_overflow():
    keras.config.set_dtype_policy("mixed_float16")
    optimizers = [
        keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**22, dynamic_growth_steps=1000)
        for optimizer in (SGD(0.05, weight_decay=0.0), Adam(1e-2))
    ]
    setup, (weights, alphas), scalars = steps_on_the_supernet(1, optimizers=optimizers)
    np.testing.assert_array_equal(setup.weights, weights)  # skipped
    np.testing.assert_array_equal(setup.alphas, alphas)
    assert all(np.isfinite(value) for value in scalars[0].values())
    scales = []
    for index in range(1, 20):
        assert all(np.isfinite(value) for value in setup.take(index).values())
        scales.append(float(optimizers[0].scale_loss(1.0)))
    assert 1 < scales[-1] < 2.0**22 and scales[-1] == scales[-2]  # halved until it fitted
    assert np.isfinite(setup.weights).all() and np.abs(setup.weights - weights).max() > 1e-4
    assert np.isfinite(setup.alphas).all() and np.abs(setup.alphas - alphas).max() > 1e-4


@pytest.mark.parametrize("sharpness, leaves_out", [(30.0, True), (0.0, False)])
def test_auto_leaves_candidates_out_from_an_epoch_that_ends_with_half_of_them_negligible(sharpness, leaves_out):
    """One-hot rows of five candidates: four fifths are negligible. The decision is in the checkpoint."""
    setup = Setup(skip_unused="auto", negligible_weight=1e-3)
    setup.logits.variables[0].assign(sharpness * np.eye(5)[[0, 1, 2, 3, 4, 0]])
    setup.take()
    setup.step.end_epoch(None)
    setup.take(1)
    unused = Unused(1e-3) if leaves_out else None
    first, second = setup.net.modes[:2], setup.net.modes[2:]
    assert [mode[1] for mode in first] == [None, None]
    # the same functions as before are not traced again, and the pass of the logits runs all candidates forward
    assert [mode[1] for mode in second] == ([unused, unused._replace(forward=True)] if leaves_out else [])
    (skips,) = setup.step.variables["skips"]
    assert bool(skips.numpy()) is leaves_out

    resumed = Setup(skip_unused="auto", negligible_weight=1e-3)
    resumed.step.variables["skips"][0].assign(skips)
    resumed.take(2)
    assert resumed.net.modes[0][1] == unused


@pytest.mark.parametrize("bad", ["yes", 2, None])
def test_an_unknown_switch_is_refused(bad):
    with pytest.raises(UserError, match="skip_unused must be"):
        FirstOrder(skip_unused=bad)
