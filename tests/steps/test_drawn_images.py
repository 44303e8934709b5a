"""Training images that a sampler draws for the step with logits: norms, weights, orders, checks, whole searches."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from sampled_steps import batch
from tiny_search import Stop, method, outcome, run, stop_at_save

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.regularizers import Regularizer, SelfDistillation
from tf_edd.relaxations import Softmax
from tf_edd.runtime import files
from tf_edd.samplers import ImportanceImages, UniformImages, UniformPaths
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import Batch, EpochInfo, FirstOrder, StepInfo, StepSetup
from tf_edd.steps.drawn_images import error_norms

SPACE, RATE, SIZE = nas_bench_201(4, 1), 0.1, 20
ROWS = np.array([0, 3, 5, 7, 11, 13, 17, 19])
TRAIN, VALID = batch(1), batch(2)


class LinearNet:
    """A stand-in for the supernet: 10 x mean pixel x W, whatever the cell."""

    def __init__(self):
        self.kernel = keras.Variable(np.random.default_rng(0).normal(size=(3, 3)), dtype="float32", name="kernel")
        self.trainable_variables = [self.kernel]

    def __call__(self, images, probs, training, unused, fixed_weights):
        return tf.matmul(10 * tf.reduce_mean(images, [1, 2]), tf.convert_to_tensor(self.kernel))


class HalfSquare(Regularizer):
    """Half the squared norm of the weights, whose gradient is the weights."""

    phases = ("weights",)

    def __call__(self, context):
        return tf.nn.l2_loss(context.supernet.kernel)


class Setup:
    """A step of plain SGD over the stand-in; `sampler` is the running sampler."""

    def __init__(self, images, ordered_images=None, xla=False, regularizers=()):
        self.net = LinearNet()
        optimizer = SGD(learning_rate=RATE, momentum=0.0, weight_decay=0.0)
        parts = method(
            step=FirstOrder(images=images, weight_gradient_clip=None),
            relaxation=Softmax(),
            weight_optimizer=optimizer,
            regularizers=regularizers,
        )
        sizes = {"train_images": SIZE, "ordered_images": ordered_images}
        self.step = parts.step.build(StepSetup(self.net, ArchLogits(SPACE, seed=0), parts, xla=xla, seed=4, **sizes))

    def take(self, train=(*TRAIN, ROWS), index=0, phases=("weights",)):
        scalars = self.step({"weights": Batch(*train), "arch": Batch(*VALID)}, StepInfo(index, phases=phases))
        return {tag: float(value) for tag, value in scalars.items()}

    @property
    def probs_and_norms(self):
        return self.step.variables["images"]


def errors(kernel):
    """softmax(outputs) - one-hot label of the images of `TRAIN`, and their cross entropies."""
    inputs, labels = 10 * TRAIN[0].numpy().mean(axis=(1, 2)), TRAIN[1].numpy()
    outputs = inputs @ kernel
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return inputs, shares - np.eye(3)[labels], -np.log(shares[range(len(labels)), labels])


@pytest.mark.parametrize("regularizers", [(), (HalfSquare(),)], ids=["alone", "regularized"])
@pytest.mark.parametrize("xla", [False, True])
def test_weights_enter_the_gradient_of_the_cross_entropy_and_norms_are_recorded(xla, regularizers):
    setup = Setup(ImportanceImages(importance_weights=True), None, xla, regularizers)
    probs, norms = setup.probs_and_norms
    chances = np.random.default_rng(3).dirichlet(np.ones(SIZE)).astype(np.float32)
    probs.assign(chances)
    kernel = setup.net.kernel.numpy()
    inputs, found, losses = errors(kernel)
    loss = setup.take()["loss/weights"]
    penalty = kernel if regularizers else 0 * kernel
    weighted = np.mean((found / (SIZE * chances[ROWS])[:, None])[:, None] * inputs[:, :, None], axis=0) + penalty
    np.testing.assert_allclose(setup.net.kernel.numpy(), kernel - RATE * weighted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss, losses.mean() + np.square(penalty).sum() / 2, rtol=1e-5)  # not weighted
    expected = np.zeros(SIZE)
    expected[ROWS] = np.sqrt(np.square(found).sum(axis=1))
    np.testing.assert_allclose(norms, expected, rtol=1e-4)
    np.testing.assert_array_equal(probs, chances)  # it learns after the epoch


def test_norms_of_two_steps_are_averaged_and_the_phase_of_the_logits_records_nothing():
    setup = Setup(ImportanceImages())
    setup.take(phases=("arch",))
    assert not setup.probs_and_norms[1].numpy().any()
    kernels = []
    for index in range(2):
        kernels.append(setup.net.kernel.numpy())
        setup.take(index=index, phases=("weights", "arch"))
    first, second = (np.linalg.norm(errors(kernel)[1], axis=1) for kernel in kernels)
    np.testing.assert_allclose(setup.probs_and_norms[1].numpy()[ROWS], (first + second) / 2, rtol=1e-4)
    assert [function.experimental_get_tracing_count() for function in setup.step.functions.traced.values()] == [1, 1]


def test_an_order_without_importance_weights_trains_as_the_same_batch_does():
    drawn, plain = Setup(ImportanceImages()), Setup(None)
    drawn.probs_and_norms[0].assign(np.random.default_rng(3).dirichlet(np.ones(SIZE)))
    assert drawn.take() == plain.take(TRAIN)
    np.testing.assert_array_equal(drawn.net.kernel, plain.net.kernel)


def test_without_a_sampler_nothing_is_kept_or_told():
    setup = Setup(None)
    assert setup.step.variables == {} and setup.step.image_order(1) is None
    assert setup.step.end_epoch(EpochInfo(0, 2, 4, 0, None)) == {}


def test_uniform_images_are_no_sampler_to_the_bit():
    uniform, none = Setup(UniformImages(), 50), Setup(None)
    assert uniform.step.variables == {} and uniform.step.image_order(1) is None
    assert uniform.take(TRAIN) == none.take(TRAIN)
    np.testing.assert_array_equal(uniform.net.kernel, none.net.kernel)
    assert uniform.step.end_epoch(EpochInfo(0, 2, 4, 0, None)) == {"images/effective_share": 1.0}


@pytest.mark.parametrize("count", [None, 12, 50])
def test_epochs_take_as_many_images_as_they_need_and_follow_the_distribution(count):
    setup = Setup(ImportanceImages(), count)
    wanted = SIZE if count is None else count
    first = setup.step.image_order(0)
    passes, rest = divmod(wanted, SIZE)
    assert len(first) == wanted and set(np.bincount(first, minlength=SIZE)) <= {passes, passes + (rest > 0)}
    setup.probs_and_norms[0].assign(np.where(np.arange(SIZE) == 7, 0.75, np.where(np.arange(SIZE) == 2, 0.25, 0.0)))
    drawn = np.concatenate([setup.step.image_order(epoch) for epoch in range(1, 401)])
    assert len(drawn) == 400 * wanted and set(drawn) == {2, 7}
    assert abs(np.mean(drawn == 7) - 0.75) < 5 * np.sqrt(0.75 * 0.25 / len(drawn))


def test_the_end_of_an_epoch_teaches_the_sampler_and_tells_the_effective_share():
    setup = Setup(ImportanceImages(smoothing=0.8))
    norms = np.zeros(SIZE, np.float32)
    norms[[1, 4]] = 3.0, 1.0
    for done, tau in ((1, 0.0), (3, 0.8 * 2 / 4)):
        setup.probs_and_norms[1].assign(norms)
        found = setup.step.end_epoch(EpochInfo(done - 1, 4, 0, 0, None))
        probs = tau * norms / 4 + (1 - tau) / SIZE
        np.testing.assert_allclose(setup.probs_and_norms[0], probs, rtol=1e-5)
        assert found == {"images/effective_share": pytest.approx(1 / (SIZE * np.square(probs).sum()), rel=1e-5)}
        assert not setup.probs_and_norms[1].numpy().any()


def test_norms_lie_between_zero_and_the_root_of_two():
    """Of a certain and right answer, of a certain and wrong one, and of none at all."""
    outputs = tf.constant([[50.0, 0.0], [50.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(error_norms(tf.constant([0, 1, 1]), outputs), [0, 2**0.5, 0.5**0.5], atol=1e-6)


@dataclasses.dataclass(frozen=True)
class NoSampler:
    """Builds something else."""

    def build(self, size):
        return SimpleNamespace(order=lambda seed, epoch, count: None)


@pytest.mark.parametrize("images", [UniformPaths(), NoSampler()], ids=lambda part: type(part).__name__)
def test_what_is_no_sampler_of_images_is_refused(tmp_path, images):
    with pytest.raises(UserError, match=r"FirstOrder.images.build must return a running sampler of images. Received"):
        run(tmp_path, step=FirstOrder(images=images), dry_run=True)


@dataclasses.dataclass(frozen=True)
class OnePass:
    """Takes each image once, however many are asked for."""

    def build(self, size):
        running = UniformImages().build(size)
        running.order = lambda seed, epoch, count: np.arange(size)
        return running


def test_orders_of_another_length_than_the_epoch_are_refused(tmp_path):
    message = "FirstOrder.images must give an epoch the positions of 48 images, of which there are 40. Received: 40"
    with pytest.raises(UserError, match=message):
        searched(tmp_path, OnePass(), dry_run=True)


def searched(folder, images, **changes):
    """A search of epochs of 3 steps of 16 images, of which there are 40, with a checkpoint after each step."""
    sizes = {"split": (40, 32), "steps_per_epoch": 3, "checkpoint_steps": 1}
    run(folder, **{"step": FirstOrder(images=images), **sizes, **changes})
    return outcome(folder)


@pytest.mark.slow
def test_a_search_with_drawn_images_and_teachers_is_stopped_within_an_epoch_and_ends_the_same(tmp_path):
    changes = {"regularizers": (SelfDistillation(warmup_epochs=1),)}
    whole = searched(tmp_path / "whole", ImportanceImages(importance_weights=True), **changes)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, 7, after=True)  # within the third epoch
        searched(tmp_path / "stopped", ImportanceImages(importance_weights=True), **changes)
    assert searched(tmp_path / "stopped", ImportanceImages(importance_weights=True), **changes) == whole
    assert sum(name.startswith("images/") for name in whole["variables"]) == 2
    assert (tmp_path / "whole" / "search" / "ckpt-9.index").exists()
    shares = [row["images/effective_share"] for row in files.read_lines(tmp_path / "whole/search/genotypes.jsonl")]
    assert shares[0] == pytest.approx(1, abs=1e-6) and 0.2 < shares[2] < shares[1] < 1
