"""The second-order step against the formula, taken by one tape or with assigned weights; what it writes; its traces."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_search import method, tiny_space

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.networks.unused import Unused
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import Regularizer
from tf_edd.relaxations import Softmax
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import Batch, FirstOrder, SecondOrder, StepInfo, StepSetup

PRODUCTS = ("finite_difference", "exact")
SETTINGS = {"momentum": 0.9, "weight_decay": 3e-2}
RATE, TEMPERATURE = 0.3, 0.7


@pytest.fixture(autouse=True)
def plain_machine():
    """Float32 before and after each test."""
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


def batch(seed, size=8):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 6, 6, 3)).astype(np.float32)
    return Batch(tf.constant(images), tf.constant(rng.integers(0, 3, size), tf.int32))


BATCHES = {"weights": batch(1), "arch": batch(2)}


class SmoothNet:
    """A stand-in for the supernet without kinks, at which a finite difference is close to the derivative."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.kernels = [keras.Variable(rng.normal(size=shape), dtype="float32") for shape in ((3, 4), (4, 3))]
        self.variables = self.trainable_variables = self.kernels
        self.left_out = []

    def __call__(self, images, probs, training, unused=None, fixed_weights=False):
        assert training
        self.left_out.append(unused)
        a, b = probs["cell"][0, 0], probs["cell"][1, 1]
        first, second = (tf.convert_to_tensor(kernel) for kernel in self.kernels)
        hidden = tf.tanh(tf.matmul(tf.reduce_mean(images, [1, 2]) * 6, first) * (1 + a))
        return tf.matmul(hidden, second) * 2 * b


class Trial:
    """A step on the tiny supernet, or on the stand-in; the logits take their gradient as it is."""

    def __init__(
        self, part=None, weight=None, arch=None, regularizers=(), relaxation=None, xla=False, smooth=False, **supernet
    ):
        keras.utils.set_random_seed(3)
        space = tiny_space()
        self.supernet = SmoothNet() if smooth else Supernet(space, 3, **supernet)
        if not smooth:
            self.supernet.build((None, 6, 6, 3))
        self.logits = ArchLogits(space, seed=0, init_scale=0.5)
        self.weight = weight or SGD(RATE, **SETTINGS)
        self.arch = arch or SGD(1.0, momentum=0.0, weight_decay=0.0)
        self.method = method(
            step=part or SecondOrder(),
            relaxation=relaxation or Softmax(),
            weight_optimizer=self.weight,
            arch_optimizer=self.arch,
            regularizers=regularizers,
        )
        self.step = self.method.step.build(StepSetup(self.supernet, self.logits, self.method, xla=xla))

    @property
    def table(self):
        return self.logits.numpy()["cell"]

    @property
    def weights(self):
        return [variable.numpy() for variable in self.supernet.trainable_variables]

    def take(self, *phases, index=0, temperature=TEMPERATURE):
        info = StepInfo(index, temperature=temperature, phases=phases or ("weights", "arch"))
        return {tag: float(value) for tag, value in self.step(BATCHES, info).items()}

    def arch_gradient(self):
        """What the logits' optimizer is given by the next step."""
        before = self.table
        self.take("arch")
        return before - self.table

    # By hand, with none of the functions of the step.

    def loss(self, phase, table):
        images, labels, _ = BATCHES[phase]
        outputs = self.supernet(images, {"cell": tf.nn.softmax(table / TEMPERATURE)}, training=True)
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True))

    def ahead(self, gradients):
        """The weights after PyTorch's SGD."""
        values = []
        for gradient, variable, buffer in zip(
            gradients, self.supernet.trainable_variables, self.weight.velocities, strict=True
        ):
            gradient = gradient + SETTINGS["weight_decay"] * variable.value
            velocity = SETTINGS["momentum"] * buffer.value + gradient
            values.append(
                variable.value
                - RATE * (gradient + SETTINGS["momentum"] * velocity if self.weight.nesterov else velocity)
            )
        return values

    def total_derivative(self, product=True):
        """d L_valid(omega'(A), A) / dA by one tape; without the second derivative if `product` is false."""
        table = tf.constant(self.table)
        variables = self.supernet.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch(table)
            with tf.GradientTape() as inner:
                train = self.loss("weights", table if product else tf.stop_gradient(table))
            ahead = self.ahead(inner.gradient(train, [variable.value for variable in variables]))
            with keras.StatelessScope(state_mapping=list(zip(variables, ahead, strict=True))):
                valid = self.loss("arch", table)
        return tape.gradient(valid, table).numpy(), float(valid)

    def slopes(self, phase, weights):
        """Gradients of the loss with respect to weights and logits, with these weights assigned."""
        variables = self.supernet.trainable_variables
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)
        table = tf.constant(self.table)
        with tf.GradientTape() as tape:
            tape.watch(table)
            loss = self.loss(phase, table)
        by_table, by_weights = tape.gradient(loss, [table, [variable.value for variable in variables]])
        return by_table.numpy(), [np.asarray(gradient) for gradient in by_weights]

    def released(self, epsilon=0.01):
        """The five lines of quark0/darts, `_backward_step_unrolled`, on the variables themselves."""
        start = self.weights
        _, gradients = self.slopes("weights", start)
        a1, v = self.slopes("arch", [value.numpy() for value in self.ahead(gradients)])
        h = epsilon / np.linalg.norm(np.concatenate([np.ravel(part) for part in v]))
        above, _ = self.slopes("weights", [w + h * part for w, part in zip(start, v, strict=True)])
        below, _ = self.slopes("weights", [w - h * part for w, part in zip(start, v, strict=True)])
        self.slopes("weights", start)
        return a1 - RATE * (above - below) / (2 * h)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("product, smooth", [("exact", True), ("finite_difference", True), ("exact", False)])
def test_is_the_derivative_through_the_look_ahead(product, smooth, nesterov):
    trial = Trial(SecondOrder(product=product), SGD(RATE, nesterov=nesterov, **SETTINGS), smooth=smooth)
    trial.take("weights")  # fills the velocities
    expected, valid = trial.total_derivative()
    second = expected - trial.total_derivative(product=False)[0]
    assert np.abs(second).max() > 0.02 * np.abs(expected).max()  # no rounding
    before = trial.table
    scalars = trial.take("arch")
    share = {"exact": 1e-4, "finite_difference": 2e-3}[product]
    np.testing.assert_allclose(before - trial.table, expected, atol=share * np.abs(second).max())
    np.testing.assert_allclose(scalars["arch/logit_gradient_norm"], np.linalg.norm(expected), rtol=share)
    np.testing.assert_allclose(scalars["loss/arch"], valid, rtol=1e-5)


def test_the_error_of_the_difference_falls_with_the_square_of_its_length():
    errors = []
    for epsilon in (0.4, 0.2, 0.1):
        trial = Trial(SecondOrder(epsilon=epsilon), smooth=True)
        trial.take("weights")
        expected, _ = trial.total_derivative()
        errors.append(np.abs(trial.arch_gradient() - expected).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15) and errors[1] / errors[2] == pytest.approx(4, rel=0.15)


def test_is_the_released_computation():
    """Kinks of the ReLU included, which are errors of both."""
    trial = Trial()
    trial.take("weights")
    expected = trial.released()
    np.testing.assert_allclose(trial.arch_gradient(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_rate_of_zero_leaves_the_first_order(product):
    """The step ahead has no length then."""
    gradients = []
    for part in (SecondOrder(product=product), FirstOrder()):
        trial = Trial(part, SGD(RATE, **SETTINGS))
        trial.take("weights")
        trial.weight.learning_rate = 0.0
        gradients.append(trial.arch_gradient())
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_weights_step_is_that_of_the_first_order(product):
    after = []
    for part in (SecondOrder(product=product, weight_gradient_clip=0.1), FirstOrder(weight_gradient_clip=0.1)):
        trial = Trial(part)
        scalars = trial.take("weights")
        after.append((trial.weights, scalars))
    assert after[0][1] == after[1][1]
    for value, expected in zip(after[0][0], after[1][0], strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_logits_step_writes_nothing_but_logits_and_their_slots(product):
    trial = Trial(SecondOrder(product=product), arch=Adam(1e-2), running_statistics=True)
    trial.take("weights")
    kept = {"supernet": trial.supernet.variables, "weights": trial.weight.variables}
    moved = {"logits": trial.logits.variables, "slots": trial.arch.first_moments + trial.arch.second_moments}
    before = {name: [v.numpy() for v in variables] for name, variables in (kept | moved).items()}
    trial.take("arch")
    assert len(trial.supernet.variables) > len(trial.supernet.trainable_variables)  # moving averages are among them
    for name, variables in kept.items():
        for variable, value in zip(variables, before[name], strict=True):
            np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)
    for name, variables in moved.items():
        for variable, value in zip(variables, before[name], strict=True):
            assert np.abs(variable.numpy() - value).max() > 0, variable.path


@pytest.mark.parametrize("product", PRODUCTS)
def test_one_trace_for_all_steps(product):
    trial = Trial(SecondOrder(product=product))
    for index in range(3):
        trial.weight.learning_rate = 0.1 / (index + 1)
        trial.take(index=index, temperature=1.0 / (index + 1))
    traced = trial.step.functions.traced.values()
    assert [function.experimental_get_tracing_count() for function in traced] == [1, 1]


class Draw:
    """Softmax of disturbed logits."""

    simplex = shift_invariant = True

    def __call__(self, logits, temperature, seed):
        return tf.nn.softmax((logits + tf.random.stateless_normal(logits.shape, seed)) / temperature)

    mean = None


def test_all_passes_of_a_turn_share_their_noise():
    """Otherwise the difference of two of them, divided by its length, would be noise alone."""
    gradients = []
    for product in PRODUCTS:
        trial = Trial(SecondOrder(product=product), relaxation=Draw(), smooth=True)
        trial.take("weights")
        gradients.append(trial.arch_gradient())
    np.testing.assert_allclose(*gradients, atol=1e-3 * np.abs(gradients[1]).max())


class Penalty(Regularizer):
    """Squares of logits and weights, in the loss of the logits."""

    phases = ("arch",)

    def __call__(self, context):
        weights = tf.add_n([tf.nn.l2_loss(variable.value) for variable in context.supernet.trainable_variables])
        return weights * (1 + tf.reduce_sum(context.logits["cell"])) / 100


def test_a_regularizer_of_the_logits_is_in_the_loss_of_the_weights_ahead():
    trial = Trial(SecondOrder(product="exact"), regularizers=(Penalty(),), smooth=True)
    plain, _ = trial.total_derivative()
    loss = trial.loss

    def penalized(phase, table):
        weights = tf.add_n([tf.nn.l2_loss(variable.value) for variable in trial.supernet.trainable_variables])
        return loss(phase, table) + (weights * (1 + tf.reduce_sum(table)) / 100 if phase == "arch" else 0.0)

    trial.loss = penalized
    expected, valid = trial.total_derivative()
    assert np.abs(expected - plain).max() > 1e-3
    before = trial.table
    scalars = trial.take("arch")
    np.testing.assert_allclose(scalars["loss/arch"], valid, rtol=1e-5)
    np.testing.assert_allclose(before - trial.table, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_scaled_loss_gives_the_same_gradient(product):
    plain = Trial(SecondOrder(product=product), smooth=True)
    scaled = Trial(
        SecondOrder(product=product),
        keras.optimizers.LossScaleOptimizer(SGD(RATE, **SETTINGS), initial_scale=64.0),
        keras.optimizers.LossScaleOptimizer(SGD(1.0, momentum=0.0, weight_decay=0.0), initial_scale=1024.0),
        smooth=True,
    )
    for trial in (plain, scaled):
        trial.take("weights")
    np.testing.assert_allclose(scaled.arch_gradient(), plain.arch_gradient(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("product", PRODUCTS)
def test_xla_gives_the_same_numbers(product):
    gradients = []
    for xla in (False, True):
        trial = Trial(SecondOrder(product=product), xla=xla, smooth=True)
        trial.take("weights")
        gradients.append(trial.arch_gradient())
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "both"},
        {"weight_gradient_clip": 0.0},
        {"arch_gradient_clip": -0.1},
        {"product": "hessian"},
        {"epsilon": 0.0},
    ],
)
def test_refuses_impossible_settings(wrong):
    with pytest.raises(UserError, match="Received"):
        SecondOrder(**wrong)


def test_refuses_an_optimizer_that_cannot_look_ahead():
    for optimizer in (keras.optimizers.SGD(0.1), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))):
        with pytest.raises(UserError, match=r"tf_edd\.optimizers\.SGD.*Received: keras"):
            Trial(weight=optimizer)
    Trial(weight=Adam(0.1))


@pytest.mark.slow
@pytest.mark.parametrize("product", PRODUCTS)
def test_float16_recovers_from_an_overflow(product):
    keras.config.set_dtype_policy("mixed_float16")
    optimizers = [
        keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**22, dynamic_growth_steps=1000)
        for optimizer in (SGD(RATE / 6, **SETTINGS), Adam(1e-2))
    ]
    trial = Trial(SecondOrder(product=product), *optimizers)
    start = trial.table
    trial.take("arch")
    np.testing.assert_array_equal(trial.table, start)  # skipped
    for index in range(1, 20):
        assert all(np.isfinite(value) for value in trial.take(index=index).values())
    assert 1 < float(trial.arch.scale_loss(1.0)) < 2.0**22
    assert np.isfinite(trial.table).all() and np.abs(trial.table - start).max() > 1e-3


def test_the_weight_pass_alone_leaves_candidates_out():
    trial = Trial(SecondOrder(skip_unused=True, negligible_weight=1e-3), smooth=True)
    trial.take("arch")
    assert set(trial.supernet.left_out) == {None}  # the gradients of weights and of probabilities are both in it
    trial.supernet.left_out.clear()
    trial.take("weights")
    assert trial.supernet.left_out == [Unused(1e-3)]


def test_refuses_a_threshold_at_which_a_search_would_begin_with_nothing():
    with pytest.raises(UserError, match=r"below 1/5, .* Received: negligible_weight=0.3$"):
        SecondOrder(negligible_weight=0.3).check(nas_bench_201(4, 1), None)
