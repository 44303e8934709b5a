"""Training of sampled paths: gradients, what stays untouched, statistics, variance, crash safety."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from sampled_steps import (
    CHOICE,
    CLIP,
    DECAY,
    MOMENTUM,
    RATE,
    SPACE,
    WITHOUT_LOGITS,
    GivenPaths,
    Setup,
    batch,
    loss_and_gradients,
    step,
)
from tiny_search import EPOCHS, Stop, outcome, run, stop_at_save, tiny_space

from tf_edd import samplers
from tf_edd.analysis.gradient_variance import variance
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import Softmax
from tf_edd.runtime import files
from tf_edd.runtime.seeds import step_seed
from tf_edd.samplers import ImportanceImages, ImportancePaths, UniformImages, UniformPaths
from tf_edd.schedules import ConstantRate, ConstantTemperature
from tf_edd.steps import EpochInfo, SampledPaths


@pytest.mark.parametrize("choices", [(CHOICE,), (CHOICE, (2, 2, 0, 1, 3, 4))], ids=["one path", "two paths"])
def test_steps_are_sgd_on_the_sum_of_the_paths_and_leave_the_rest_alone(choices):
    setup = Setup(GivenPaths(*choices))
    velocities = [np.zeros(v.shape) for v in setup.variables]
    used = [owner is None or any(c[owner[0]] == owner[1] for c in choices) for owner in setup.owners()]
    assert 0 < used.count(False) < len(used)
    for number in range(3):
        images, labels = batch(number)
        values = [v.numpy() for v in setup.variables]
        found = [loss_and_gradients(setup.supernet, choice, images, labels) for choice in choices]
        gradients = [sum(parts) for parts in zip(*(gradients for _, _, gradients in found), strict=True)]
        norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
        scalars = step(setup, (images, labels), number)
        np.testing.assert_allclose(scalars["weights/gradient_norm"], norm, rtol=1e-4)
        np.testing.assert_allclose(scalars["loss/weights"], np.mean([loss for loss, _, _ in found]), rtol=1e-5)
        assert norm > CLIP
        for i, value in enumerate(values):
            if used[i]:
                velocities[i] = MOMENTUM * velocities[i] + gradients[i] * CLIP / norm + DECAY * value
                np.testing.assert_allclose(setup.variables[i], value - RATE * velocities[i], rtol=1e-4, atol=2e-6)
            else:
                np.testing.assert_array_equal(setup.variables[i], value)
                np.testing.assert_array_equal(setup.optimizer.velocities[i], 0)


def test_only_the_path_is_run():
    setup = Setup()
    for variable, owner in zip(setup.variables, setup.owners(), strict=True):
        if owner is not None and CHOICE[owner[0]] != owner[1]:
            variable.assign(np.full(variable.shape, np.nan))
    assert np.isfinite(list(step(setup).values())).all()
    for variable, owner in zip(setup.variables, setup.owners(), strict=True):
        if owner is None or CHOICE[owner[0]] == owner[1]:
            assert np.isfinite(variable.numpy()).all()


def test_one_trace_for_all_paths():
    setup = Setup(UniformPaths())
    losses = {step(setup, index=index)["loss/weights"] for index in range(6)}
    assert len(losses) == 6
    assert setup.step.function.experimental_get_tracing_count() == 1


def test_the_statistics_are_norms_of_clipped_gradients_and_of_output_errors():
    setup = Setup(images=ImportanceImages())
    images, labels = batch()
    _, outputs, gradients = loss_and_gradients(setup.supernet, CHOICE, images, labels)
    norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
    expected = np.zeros((6, 5))
    for owner, gradient in zip(setup.owners(), gradients, strict=True):
        if owner is not None:
            expected[owner] += np.linalg.norm(gradient) * CLIP / norm
    rows = np.array([0, 3, 5, 7, 11, 13, 17, 19])
    step(setup, (images, labels, tf.constant(rows)))
    assert (expected > 0).sum() == 3
    np.testing.assert_allclose(setup.paths.norms, expected, rtol=1e-4)
    errors = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True) - np.eye(3)[labels]
    noted = np.zeros(20)
    noted[rows] = np.sqrt(np.square(errors).sum(axis=1))
    np.testing.assert_allclose(setup.images.variables[1], noted, rtol=1e-4)


def test_a_step_that_loss_scaling_skips_leaves_the_statistic_alone():
    setup = Setup(ImportancePaths(), optimizer=keras.optimizers.LossScaleOptimizer(SGD(RATE)))
    setup.paths.variables[1].assign(np.full((1, 5), 0.4))
    images, labels = batch()
    values = [v.numpy() for v in setup.variables]
    step(setup, (images * np.inf, labels))
    np.testing.assert_array_equal(setup.paths.variables[1], np.float32(np.full((1, 5), 0.4)))
    for variable, value in zip(setup.variables, values, strict=True):
        np.testing.assert_array_equal(variable, value)
    step(setup, (images, labels), 1)
    assert (setup.paths.variables[1].numpy() != np.float32(0.4)).any()


def test_importance_weights_of_paths_enter_the_gradient_and_not_the_statistic():
    plain, weighted = (Setup(ImportancePaths(importance_weights=on)) for on in (False, True))
    probs = np.float32([0.1, 0.2, 0.4, 0.2, 0.1])
    found, noted = [], []
    for setup in (plain, weighted):
        setup.paths.variables[0].assign(np.tile(probs, (6, 1)))
        path = setup.paths.sample(step_seed(0, tf.constant(0, tf.int64), "path"))[0]["cell"].numpy().argmax(axis=1)
        found.append(step(setup)["weights/gradient_norm"])
        noted.append(setup.paths.variables[1].numpy())
    ratio = np.prod(0.2 / probs[path])
    assert abs(ratio - 1) > 0.1
    np.testing.assert_allclose(found[1], ratio * found[0], rtol=1e-4)
    clips = [min(1.0, CLIP / norm) for norm in found]  # norms are those of clipped gradients
    assert noted[0].max() > 0
    np.testing.assert_allclose(noted[1] / clips[1], noted[0] / clips[0], rtol=1e-3)


def test_drawn_gradients_are_those_of_their_paths():
    setup = Setup(ImportancePaths(), ImportanceImages())
    probs, even = (np.tile(np.float32(row), (6, 1)) for row in ([0.05, 0.05, 0.42, 0.43, 0.05], [0.2] * 5))
    setup.paths.variables[0].assign(probs)
    images, labels = batch()
    index = tf.constant(4, tf.int64)
    choices = set()
    for scheme, table in (("as trained", probs), ("uniform", even), ("weighted", even)):
        choice = samplers.draw_path(SPACE, {"cell": table}, step_seed(0, index, "variance"))["cell"].numpy().argmax(1)
        found, weight = setup.step._gradients[scheme](images, labels, tf.range(8), index)
        expected = loss_and_gradients(setup.supernet, choice, images, labels)[2]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
        ratio = np.prod(0.2 / probs[np.arange(6), choice])
        np.testing.assert_allclose(weight, ratio if scheme == "weighted" else 1.0, rtol=1e-4)
        choices.add(tuple(choice))
    assert len(choices) == 2


def test_gradients_of_several_paths_are_measured_as_their_mean():
    choices = CHOICE, (2, 2, 0, 1, 3, 4)
    setup = Setup(GivenPaths(*choices))
    images, labels = batch()
    found, _ = setup.step._gradients["as trained"](images, labels, None, tf.constant(0, tf.int64))
    both = [loss_and_gradients(setup.supernet, choice, images, labels)[2] for choice in choices]
    for one, first, second in zip(found, *both, strict=True):
        np.testing.assert_allclose(one, (first + second) / 2, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_compiled_paths_are_those_that_are_not():
    plain, compiled = (Setup(UniformPaths(), space=tiny_space(), xla=xla) for xla in (False, True))
    for index in range(3):
        scalars = [step(setup, batch(index), index) for setup in (plain, compiled)]
        assert scalars[1] == pytest.approx(scalars[0], rel=1e-3)
    for one, other in zip(plain.variables, compiled.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_importance_weights_enter_the_gradient_alone():
    setup = Setup(images=ImportanceImages(importance_weights=True))
    setup.images.variables[0].assign(np.full(20, 1 / 40))  # weights of 1 / (20 / 40) = 2
    images, labels = batch()
    loss, _, gradients = loss_and_gradients(setup.supernet, CHOICE, images, labels)
    scalars = step(setup, (images, labels, tf.range(8)))
    np.testing.assert_allclose(scalars["loss/weights"], loss, rtol=1e-5)
    norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
    np.testing.assert_allclose(scalars["weights/gradient_norm"], 2 * norm, rtol=1e-4)


def test_variance_is_the_trace_of_the_covariance():
    draws = np.random.default_rng(0).normal(size=(6, 7))
    found = variance(([tf.constant(draw[:3]), tf.constant(draw[3:])], 1.0) for draw in draws)
    np.testing.assert_allclose(found["variance"], np.trace(np.cov(draws, rowvar=False)), rtol=1e-9)


def test_weights_of_the_squares_stand_for_draws_from_another_distribution():
    """Two gradients, drawn with p = (0.9, 0.1) and weights 0.5 / p: the variance by its definition."""
    gradients, probs = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0.9, 0.1])
    weights = 0.5 / probs
    mean = probs @ (weights[:, None] * gradients)
    truth = probs @ np.square(weights[:, None] * gradients).sum(1) - np.square(mean).sum()
    draws = np.random.default_rng(0).integers(0, 2, 4000)
    found = variance(([tf.constant(gradients[i])], weights[i]) for i in draws)
    np.testing.assert_allclose(found["variance"], truth, rtol=0.05)
    np.testing.assert_allclose(found["squared_mean"], np.square(mean).sum(), rtol=0.05)


def test_relative_variance_does_not_saturate_at_the_number_of_draws():
    rng = np.random.default_rng(0)
    mean = np.ones(50) / np.sqrt(50)  # of norm 1
    for truth in (0.5, 5.0, 20.0):
        ratios = []
        for _ in range(400):
            draws = mean + rng.normal(size=(40, 50)) * np.sqrt(truth / 50)
            ratios.append(variance(([tf.constant(draw)], 1.0) for draw in draws)["relative_variance"])
        np.testing.assert_allclose(np.median(ratios), truth, rtol=0.1)


def test_draws_of_pure_noise_have_no_relative_variance():
    draws = np.array([[1.0, 2.0], [-1.0, -2.0]])
    found = variance(([tf.constant(draw)], 1.0) for draw in draws)
    assert found["variance"] == 10 and found["squared_mean"] == -5 and np.isnan(found["relative_variance"])


def test_cells_are_validated_by_their_mean_and_the_best_is_taken():
    setup, asked = Setup(num_validated_paths=5), []

    def evaluate(table):
        asked.append(table["cell"].argmax(axis=1))
        return 2.0 * len(asked), [0.1, 0.4, 0.2, 0.4, 0.3][len(asked) - 1]

    cell, found = setup.step.validate(epoch_info(2), evaluate, Argmax())
    np.testing.assert_array_equal(cell.one_hot(SPACE)["cell"].argmax(axis=1), asked[1])
    assert found == {"loss/valid": 6.0, "accuracy/valid": pytest.approx(0.28), "accuracy/discretized": 0.4}
    assert len({tuple(choice) for choice in asked}) == 5


def test_measuring_the_variance_moves_no_average():
    setup = Setup(
        ImportancePaths(),
        ImportanceImages(),
        tiny_space(),
        supernet=Supernet(tiny_space(), 3, running_statistics=True),
        optimizer=SGD(RATE),
        variance_draws=2,
    )
    before = [variable.numpy() for variable in setup.supernet.variables]
    found = setup.step.end_epoch(epoch_info(0, GivenBatches()))
    assert {"gradient/variance", "gradient/variance_weighted", "gradient/variance_uniform"} <= set(found)
    assert setup.supernet.non_trainable_variables
    for value, variable in zip(before, setup.supernet.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


def epoch_info(epoch, batches=None):
    return EpochInfo(epoch, epochs=epoch + 2, step=3, seed=0, batches=batches)


class GivenBatches:
    """Two batches of eight images."""

    train = SimpleNamespace(size=20)
    steps = 2

    def epoch(self, seed, epoch, skip=0, order=None):
        for rows in ([0, 1, 2, 3], [4, 5, 6, 7]) if order is None else order[:8].reshape(2, 4):
            images, labels = (tf.gather(part, np.array(rows) % 8) for part in batch())
            yield {"weights": (images, labels) if order is None else (images, labels, tf.constant(rows))}


def one_shot(folder, paths=None, images=None, rest_unused=True, **changes):
    settings = {"num_validated_paths": 3, "variance_draws": 2, "rest_unused": rest_unused}
    part = SampledPaths(paths or UniformPaths(), images or UniformImages(), **settings)
    return run(folder, **{"step": part, **WITHOUT_LOGITS, **changes})


@pytest.fixture(scope="module")
def pa_da(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pa_da")
    one_shot(folder, ImportancePaths(), ImportanceImages(), rest_unused=False)
    return folder


@pytest.mark.slow
def test_a_search_logs_the_distribution_and_the_variance(pa_da):
    rows = files.read_lines(pa_da / "search" / "genotypes.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    uniform, last = (np.array(rows[i]["probs"]["cell"]) for i in (0, 2))
    np.testing.assert_allclose(uniform, 0.5)
    np.testing.assert_allclose(last, [[1 / 6, 5 / 6]] * 2, atol=1e-5)  # one candidate has weights; tau = 2 / 3
    tags = ["gradient/variance", "gradient/variance_uniform", "gradient/variance_weighted"]
    assert all(row[tag] > 0 for row in rows for tag in tags[:2])
    moments = [row["gradient/weight_second_moment"] for row in rows]
    np.testing.assert_allclose(moments, [1, (3 / 4 + 3 / 8) ** 2, (3 / 2 + 3 / 10) ** 2], rtol=1e-4)
    assert [tags[2] in row for row in rows] == [True, True, False]  # two draws
    np.testing.assert_allclose(rows[0][tags[0]], rows[0][tags[2]], rtol=1e-4)  # tau was 0: nothing is weighed
    assert abs(rows[1][tags[0]] - rows[1][tags[2]]) > 1e-3 * rows[1][tags[0]]


@pytest.mark.slow
@pytest.mark.parametrize("steps, stops", [(None, [(2, False), (1, True)]), (3, [(3, False), (2, True)])])
def test_a_stopped_search_ends_as_one_that_never_was(tmp_path, pa_da, steps, stops):
    for count, after in stops:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            stop_at_save(patch, count, after)
            one_shot(tmp_path, ImportancePaths(), ImportanceImages(), rest_unused=False, checkpoint_steps=steps)
    one_shot(tmp_path, ImportancePaths(), ImportanceImages(), rest_unused=False, checkpoint_steps=steps)
    assert outcome(tmp_path) == outcome(pa_da)
    saved = {name.split("/")[0] for name in outcome(tmp_path)["variables"]}
    assert saved >= {"paths", "images", "moving"}
    assert len(files.read_lines(tmp_path / "search" / "genotypes.jsonl")) == EPOCHS


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"relaxation": Softmax()}, "takes no relaxation: leave it out. Received: relaxation=Softmax"),
        ({"temperature": ConstantTemperature(2.0)}, "takes no temperature"),
        ({"arch_optimizer": Adam(), "arch_rate": ConstantRate(1.0)}, "takes no arch_optimizer and no arch_rate"),
        ({"regularizers": (SelfDistillation(),)}, "takes no regularizers"),
        ({"arch_rate": ConstantRate(1.0), "warmup_epochs": 1}, "takes no arch_rate and no warmup_epochs"),
        ({"entropy_temperature": 1.0}, "takes no entropy_temperature"),
    ],
)
def test_parts_of_a_step_with_logits_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=f"SampledPaths {message}"):
        one_shot(tmp_path, **changes)


def test_edges_that_are_run_again_are_refused(tmp_path):
    with pytest.raises(UserError, match="rematerialize=True"):
        one_shot(tmp_path, rematerialize=True)
    assert not (tmp_path / "search").exists()


def test_an_optimizer_that_moves_everything_is_refused(tmp_path):
    with pytest.raises(UserError, match="@SGD.*Adam"):
        one_shot(tmp_path, weight_optimizer=Adam())
    assert not (tmp_path / "search").exists()


TOO_MANY_DRAWS = SampledPaths(UniformPaths(), UniformImages(), variance_draws=5)


def test_more_draws_than_batches_are_refused(tmp_path):
    with pytest.raises(UserError, match="at most the 4 batches"):
        one_shot(tmp_path, step=TOO_MANY_DRAWS)


def test_dry_run_describes_paths_and_refuses_what_the_search_would(tmp_path):
    text = one_shot(tmp_path, ImportancePaths(), dry_run=True)
    assert "ImportancePaths" in text and "steps of 16 images" in text and "for evaluation" in text
    assert "relaxation" not in text and not (tmp_path / "search").exists()
    with pytest.raises(UserError, match="takes no relaxation"):
        one_shot(tmp_path, relaxation=Softmax(), dry_run=True)
    with pytest.raises(UserError, match="at most the 4 batches"):
        one_shot(tmp_path, step=TOO_MANY_DRAWS, dry_run=True)


@pytest.mark.parametrize(
    "settings",
    [{"weight_gradient_clip": 0.0}, {"num_validated_paths": 0}, {"variance_draws": 1}, {"variance_draws": -1}],
)
def test_refuses_impossible_settings(settings):
    with pytest.raises(UserError, match=f"{next(iter(settings))} must be"):
        SampledPaths(UniformPaths(), UniformImages(), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("paths", [UniformPaths(), ImportancePaths()], ids=["DA", "PA&DA"])
def test_epochs_of_so_many_steps_draw_as_many_images_and_go_on_to_the_bit(tmp_path, paths):
    """Three steps of 16 images, of which there are 40."""

    def searched(name):
        sizes = {"split": (40, 32), "steps_per_epoch": 3, "checkpoint_steps": 1}
        one_shot(tmp_path / name, paths, ImportanceImages(), **sizes)
        return outcome(tmp_path / name)

    whole = searched("whole")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        stop_at_save(patch, 8, after=True)  # within the third epoch, the first whose images the norms have drawn
        searched("stopped")
    assert searched("stopped") == whole
    assert len(whole["history"]) == EPOCHS and all(row["gradient/variance"] > 0 for row in whole["history"])
    assert (tmp_path / "whole" / "search" / f"ckpt-{3 * EPOCHS}.index").exists()


def test_a_batch_that_is_larger_than_the_data_holds_images_more_than_once(tmp_path):
    step = SampledPaths(UniformPaths(), ImportanceImages(), variance_draws=0)
    changes = {"split": (10, 32), "steps_per_epoch": 2, "dry_run": True}
    assert "x 2 steps of 16 images (9.6 passes" in one_shot(tmp_path, step=step, **changes)
