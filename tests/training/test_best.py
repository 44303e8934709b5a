"""The network that held-out images choose: what is kept, when the training ends, and what is told of it."""

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from tiny_retraining import run, weights

from tf_edd.data import Digits
from tf_edd.runtime import files
from tf_edd.training import retrain as program
from tf_edd.training.best import BestNetwork
from tf_edd.training.evaluate import evaluate

# Accuracy and loss on the held-out images: epoch 3 is better than epoch 2 by its loss, and no later one is better.
MEASURED = [(0.5, 1.0), (0.6, 0.9), (0.6, 0.8), (0.6, 0.8), (0.4, 0.1), (0.9, 0.1), (0.9, 0.1), (0.9, 0.1)]
SETTINGS = {"epochs": 8, "valid": 0.1, "patience": 2, "steps_per_epoch": 2, "batch_size": 1500}


class Killed(BaseException):
    """Stands for a signal."""


def scripted(patch):
    """Lets the held-out images measure what `MEASURED` says; returns epoch -> weights at that moment."""
    real, seen = program._scores, {}

    def scores(run, part):
        if part == "test":
            return real(run, part)
        epoch = run.state.epoch + 1
        seen[epoch] = run.records._network.get_weights()
        return dict(zip(("accuracy/valid", "loss/valid"), MEASURED[epoch - 1], strict=True))

    patch.setattr(program, "_scores", scores)
    return seen


def when_read(data, act):
    """Calls `act` each time before the test images are read."""
    read = data.test.batches
    data.test.batches = lambda *arguments, **named: (act(), read(*arguments, **named))[1]
    return data


def killed_after_steps(patch, steps):
    """Ends a training by a signal behind so many steps."""
    asked = iter([False] * (steps - 1) + [True])

    def stop(step):
        raise Killed

    patch.setattr(program.termination, "requested", lambda: next(asked))
    patch.setattr(program.termination, "stop", stop)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder, the results, the weights after each epoch, and the checkpoints at each look at the test images."""
    folder, looks = tmp_path_factory.mktemp("stopped"), []
    data = when_read(Digits().load(), lambda: looks.append(sorted(p.stem for p in folder.glob("retrain/*.index"))))
    with pytest.MonkeyPatch.context() as patch:
        seen = scripted(patch)
        return folder, run(folder, data=data, **SETTINGS), seen, looks


def same(one, other):
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_the_best_epoch_is_kept_and_the_training_ends_early(stopped):
    folder, results, seen, _ = stopped
    assert (results["best_epoch"], results["epochs"], results["planned_epochs"], results["steps"]) == (3, 5, 8, 10)
    assert results["ended"] == "after 5 of 8 epochs, with no better network on the held-out images in 2 epochs"
    assert same(weights(folder, "best"), seen[3]) and same(weights(folder, "last"), seen[5])
    assert not same(seen[3], seen[5])


def test_the_test_split_is_read_at_the_end_alone_once_for_each_network(stopped):
    folder, results, _, looks = stopped
    assert looks == [["ckpt-10", "ckpt-6", "ckpt-8"]] * 2
    history = files.read_lines(folder / "retrain" / "history.jsonl")
    assert [(row["accuracy/valid"], row["loss/valid"]) for row in history] == MEASURED[:5]
    assert not any(tag.endswith("/test") for row in history for tag in row)
    for which, epoch in (("best", 3), ("last", 5)):
        measured = evaluate(folder, data=Digits(), which=which)
        assert measured["accuracy"] == pytest.approx(results[which]["accuracy/test"])
        assert measured["loss"] == pytest.approx(results[which]["loss/test"], rel=1e-4)
        assert (measured["epoch"], measured["ended"]) == (epoch, results["ended"])


def test_tensorboard_tells_what_was_chosen(stopped):
    folder, results, _, _ = stopped
    runs = {name: EventAccumulator(str(folder / "retrain" / name)).Reload() for name in ("train", "test")}
    best = [int(tensor_util.make_ndarray(event.tensor_proto)) for event in runs["train"].Tensors("retrain/best_epoch")]
    assert best == [1, 2, 3, 3, 3]
    (text,) = (event.tensor_proto.string_val[0].decode() for event in runs["train"].Tensors("retrain/outcome"))
    assert text.startswith("The network of epoch 3, chosen by accuracy on the held-out") and results["ended"] in text
    (point,) = runs["test"].Tensors("accuracy/retrain")
    assert point.step == 3
    assert float(tensor_util.make_ndarray(point.tensor_proto)) == pytest.approx(results["best"]["accuracy/test"])


def test_killed_inside_an_epoch_and_at_the_end_it_is_equal_to_the_bit(stopped, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after_steps(patch, 1)
        run(tmp_path, data=Digits().load(), **SETTINGS)
    assert [path.name for path in (tmp_path / "retrain").glob("*.index")] == ["ckpt-1.index"]
    scripted(monkeypatch)

    def kill():
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, data=when_read(Digits().load(), kill), **SETTINGS)
    assert not (tmp_path / "retrain" / "results.json").exists()
    results = run(tmp_path, data=Digits().load(), **SETTINGS)  # nothing is left but the end
    for which in ("best", "last"):
        assert same(weights(tmp_path, which), weights(stopped[0], which))
        tags = ("loss/train", "accuracy/train", "loss/valid", "loss/test")
        assert [results[which][tag] for tag in tags] == [stopped[1][which][tag] for tag in tags]
    assert results["best_epoch"] == 3 and results["ended"] == stopped[1]["ended"]


def test_keeps_the_weights_of_one_moment():
    network = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(), keras.layers.Dense(2)])
    best, values = BestNetwork(network), [np.full(value.shape, 3.0, "float32") for value in network.get_weights()]
    network.set_weights(values)
    best.take()
    network.set_weights([value + 1 for value in values])
    assert same([variable.numpy() for variable in best.variables], values)
    best.put_back()
    assert same(network.get_weights(), values) and len(values) == 6
