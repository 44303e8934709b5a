"""The action in a search: what it records, what it refuses, and that a resume goes on with the same numbers."""

import dataclasses
import types

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from tiny_search import Stop, StopAt, outcome, run

from tf_edd.actions import GenotypeLog, Sharpness, TensorBoard
from tf_edd.errors import UserError
from tf_edd.relaxations import Relaxation
from tf_edd.runtime import files

TAGS = ("sharpness/eigenvalue", "sharpness/loss_difference")


def actions(**settings):
    return (GenotypeLog(), Sharpness(directions=2, batch_size=8, **settings), TensorBoard())


def history(folder):
    return files.read_lines(folder / "search" / "genotypes.jsonl")


def events(folder, tag):
    read = EventAccumulator(str(folder / "search"), size_guidance={"tensors": 0}).Reload()
    return [float(tensor_util.make_ndarray(event.tensor_proto)) for event in read.Tensors(tag)]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharp")
    run(folder, actions=actions())
    return folder


def test_both_measures_are_in_history_and_event_files(searched):
    rows = history(searched)
    for tag in TAGS:
        values = [row[tag] for row in rows]
        assert len(set(values)) == 3  # they follow the logits
        assert events(searched, tag) == pytest.approx(values, rel=1e-6)


def test_a_resumed_search_has_the_same_numbers(searched, tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, actions=(*actions(), StopAt("epoch", 2)))
    run(tmp_path, actions=actions())
    for one, other in zip(history(tmp_path), history(searched), strict=True):
        assert [one[tag] for tag in TAGS] == pytest.approx([other[tag] for tag in TAGS], rel=1e-4)


def test_the_search_is_not_changed_by_it(searched, tmp_path):
    run(tmp_path)
    plain, measured = outcome(tmp_path), outcome(searched)
    assert plain["variables"] == measured["variables"]
    for row in measured["history"]:
        for tag in TAGS:
            del row[tag]
    assert plain["history"] == measured["history"]


def test_every_so_many_epochs_and_the_last(tmp_path):
    run(tmp_path, actions=actions(every_epochs=2))
    assert [TAGS[0] in row for row in history(tmp_path)] == [False, True, True]


@pytest.mark.parametrize(
    "name, value",
    [("batches", 0), ("batch_size", 0), ("directions", 1.5), ("every_epochs", 0), ("iterations", 0)]
    + [("radius", 0), ("tolerance", -1.0), ("which", "largest")],
)
def test_bad_arguments_are_refused(name, value):
    with pytest.raises(UserError, match=f"Received: {name}="):
        Sharpness(**{name: value})


def test_more_images_than_there_are_end_the_search_at_its_beginning(tmp_path):
    with pytest.raises(UserError, match="fit into the 64 validation images. Received: batches=9"):
        run(tmp_path, actions=(Sharpness(batches=9, batch_size=8),))


def test_half_precision_is_refused():
    supernet = types.SimpleNamespace(compute_dtype="bfloat16")
    with pytest.raises(UserError, match="configure.precision = 'float32'.* bfloat16"):
        Sharpness().check(types.SimpleNamespace(learns_logits=True, supernet=supernet))


def test_a_search_without_logits_is_refused():
    with pytest.raises(UserError, match="learns none"):
        Sharpness().check(types.SimpleNamespace(learns_logits=False))


def test_gradients_that_are_not_derivatives_end_the_search_at_its_beginning(tmp_path):
    with pytest.raises(UserError, match="not its derivative"):
        run(tmp_path, relaxation=Bent(), actions=(Sharpness(batch_size=8),))
    assert not (tmp_path / "search" / "genotypes.jsonl").exists()


@dataclasses.dataclass(frozen=True)
class Bent(Relaxation):
    """Softmax with a gradient that is no derivative: its own derivative is not symmetric."""

    def __call__(self, logits, temperature, seed):
        return self.mean(logits, temperature)

    def mean(self, logits, temperature):
        @tf.custom_gradient
        def bent(values):
            return tf.nn.softmax(values / temperature), lambda upstream: upstream * (1 + tf.roll(values, 1, -1))

        return bent(logits)


def test_edges_that_are_run_again_without_a_shared_function_are_refused(tmp_path):
    with pytest.raises(UserError, match="search.rematerialize = False .* Received: 2 edges"):
        run(tmp_path, rematerialize=True, actions=(Sharpness(),))
