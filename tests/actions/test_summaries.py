import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from fake_search import RECORD, STEPS, advance, begin, metrics_at, new_state, probabilities, resumed, two_kinds
from next_second import wait_for_the_next_second
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from tf_edd.actions import TableLookup, TensorBoard
from tf_edd.actions.event_tags import RUNS, place
from tf_edd.actions.hparams import trial
from tf_edd.architectures.table import Table
from tf_edd.errors import UserError
from tf_edd.spaces import proxyless


def read(folder) -> EventAccumulator:
    """The events as TensorBoard's own server reads them."""
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def scalars(events, tag):
    return [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]


def strings(events, tag):
    return [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]


def run(folder, epochs=3, space=None, others=()):
    state = new_state(folder, space, epochs)
    running = begin(state, TensorBoard(), *others)
    for _ in range(epochs):
        advance(state, running)
    for action in running:
        action.end(state)
    return state


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, run(folder)


def test_each_metric_stands_at_its_epoch(searched):
    folder, state = searched
    events = {run: read(folder / run) for run in RUNS}
    for run, values in place(metrics_at(1), state.space).items():
        for tag in values:
            found = scalars(events[run], tag)
            assert [step for step, _ in found] == [1, 2, 3]
            expected = [place(metrics_at(epoch), state.space)[run][tag] for epoch in (1, 2, 3)]
            np.testing.assert_allclose([value for _, value in found], expected, rtol=1e-6)
    assert events["discretized"].Tags()["tensors"] == ["accuracy/search"]


def test_supernet_and_discretized_accuracy_are_one_chart(searched):
    folder, _ = searched
    supernet, discretized = (scalars(read(folder / run), "accuracy/search") for run in RUNS)
    np.testing.assert_allclose(supernet, [(epoch, metrics_at(epoch)["accuracy/valid"]) for epoch in (1, 2, 3)])
    np.testing.assert_allclose(discretized, [(e, metrics_at(e)["accuracy/discretized"]) for e in (1, 2, 3)])


def test_entropy_of_each_edge_is_that_of_scipy(searched):
    stats = pytest.importorskip("scipy.stats")
    folder, state = searched
    events = read(folder)
    names = ("input-1", "input-2", "1-2", "input-output", "1-output", "2-output")
    for row, name in enumerate(names):
        found = scalars(events, f"search_edges/cell/{name}")
        expected = [stats.entropy(probabilities(state.space, epoch)["cell"][row]) for epoch in (1, 2, 3)]
        np.testing.assert_allclose([value for _, value in found], expected, rtol=1e-5)


def test_images_decode_and_differ_between_epochs(searched):
    events = read(searched[0])
    for tag in ("search_cell/heat_map/cell", "search_cell/drawing/cell"):
        found = strings(events, tag)
        assert [step for step, _ in found] == [1, 2, 3]
        pictures = [np.asarray(Image.open(io.BytesIO(value[2]))) for _, value in found]
        assert [picture.shape for picture in pictures] == [(int(v[1]), int(v[0]), 3) for _, v in found]
        assert not np.array_equal(pictures[0], pictures[2])


def test_histogram_counts_every_probability(searched):
    for _, buckets in strings(read(searched[0]), "search_cell/probabilities/cell"):
        assert buckets[:, 2].sum() == 6 * 5


def test_texts_hold_the_genotype_and_once_the_configuration(searched):
    folder, state = searched
    train = read(folder)
    ((step, about),) = strings(train, "about")
    about = about.item().decode()
    assert step == 0 and "| method | Argmax |" in about and "`accuracy/search`" in about
    genotypes = strings(train, "genotype")
    assert len(genotypes) == 3 and str(state.genotype) in genotypes[-1][1].item().decode()
    ((step, text),) = strings(train, "gin/config")
    assert step == 0 and "search.epochs = %epochs" in text.item().decode()


def test_a_search_from_python_shows_its_record(tmp_path):
    state = new_state(tmp_path)
    state.config = ""
    TensorBoard().begin(state).end(state)
    train = read(tmp_path)
    assert "gin/config" not in train.Tags()["tensors"]
    ((step, text),) = strings(train, "record")
    text = text.item().decode()
    assert step == 0 and json.loads(text.removeprefix("```json").removesuffix("```")) == RECORD


def hparams_of(folder):
    """Tag -> what the HParams page reads."""
    contents = read(folder).summary_metadata
    return {
        tag: plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
        for tag, metadata in contents.items()
        if tag.startswith("_hparams_")
    }


def test_hparams_hold_the_record_and_declare_metrics_that_are_written(searched):
    folder, _ = searched
    parsed = hparams_of(folder)
    start = parsed["_hparams_/session_start_info"].session_start_info
    assert start.group_name == trial(folder.parent)
    assert start.hparams["epochs"].number_value == 3 and start.hparams["seed"].number_value == 7
    assert start.hparams["discretizer"].string_value == "Argmax"
    experiment = parsed["_hparams_/experiment"].experiment
    assert {info.name for info in experiment.hparam_infos} == set(start.hparams)
    assert {info.name for info in experiment.hparam_infos if info.differs} == {"data", "method", "seed"}
    declared = [(metric.name.tag, metric.name.group) for metric in experiment.metric_infos]
    written = [(tag, group) for tag, group in declared if tag in read(folder / group).Tags()["tensors"]]
    # This search has no table, and the retraining has another folder.
    assert set(declared) - set(written) == {("table/cifar10_test", ""), ("accuracy/retrain", "")}


def test_the_layout_shows_tags_that_are_written(searched):
    folder, _ = searched
    ((step, text),) = strings(read(folder), "custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(text.item())
    patterns = [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]
    tags = {tag for run in RUNS for tag in read(folder / run).Tags()["tensors"]}
    unseen = [pattern for pattern in patterns if not any(re.match(pattern, tag) for tag in tags)]
    # `metrics_at` has neither the loss of the logits nor counts, and nothing is retrained.
    assert step == 0 and [category.title for category in layout.category] == ["accuracy", "loss", "architecture"]
    of_others = ["accuracy/retrain", "loss/arch", "loss/retrain", "search/(skip|none|noise)_count"]
    assert unseen == [f"^{tag}$" for tag in of_others]


def test_an_epoch_done_again_after_a_kill_stands_there_once(tmp_path):
    state = new_state(tmp_path)
    first = TensorBoard().begin(state)
    advance(state, [first])
    saved = json.loads(json.dumps(state.state_dict()))
    advance(state, [first])  # killed here: written, and not in the checkpoint

    state = resumed(saved, state)
    wait_for_the_next_second()
    second = TensorBoard().begin(state)
    for _ in range(2):
        advance(state, [second])
    second.end(state)
    events = read(tmp_path)
    for tag in ("loss/weights", "accuracy/search", "search_cell/drawing/cell"):
        assert [step for step, _ in strings(events, tag)] == [1, 2, 3]
    assert [step for step, _ in scalars(read(tmp_path / "discretized"), "accuracy/search")] == [1, 2, 3]
    assert len(strings(events, "gin/config")) == len(strings(events, "about")) == 1
    assert len(events.Tensors("_hparams_/session_start_info")) == 1


def test_ticks_stand_at_their_steps_and_once_after_a_kill(tmp_path):
    state = new_state(tmp_path)
    state.batches = SimpleNamespace(steps=STEPS)
    first = TensorBoard().begin(state)
    state.ticks += [{"step": step, "entropy": 1.0 / step, "temperature": 0.1 / step} for step in (4, 9)]
    advance(state, [first])
    saved = json.loads(json.dumps(state.state_dict()))
    state.ticks.append({"step": 12, "entropy": 7.0, "temperature": 7.0})
    advance(state, [first])  # killed here

    state = resumed(saved, state)
    state.batches = SimpleNamespace(steps=STEPS)
    wait_for_the_next_second()
    second = TensorBoard().begin(state)
    state.ticks.append({"step": 16, "entropy": 0.25, "temperature": 0.125})
    advance(state, [second])
    second.end(state)
    events = read(tmp_path / "ticks")
    assert scalars(events, "search/entropy") == [(4, 0.25), (9, pytest.approx(1 / 9)), (16, 0.25)]
    assert [step for step, _ in scalars(events, "search/temperature")] == [4, 9, 16]


def test_a_kill_in_the_first_epoch_leaves_one_configuration(tmp_path):
    for _ in range(2):
        wait_for_the_next_second()
        state = new_state(tmp_path)
        advance(state, begin(state, TensorBoard()))
    assert [step for step, _ in scalars(read(tmp_path), "loss/weights")] == [1]
    assert len(strings(read(tmp_path), "gin/config")) == 1
    assert len(read(tmp_path).Tensors("_hparams_/session_start_info")) == 1


def test_several_cell_kinds_have_tags_of_their_own(tmp_path):
    run(tmp_path, epochs=1, space=two_kinds())
    tags = set(read(tmp_path).Tags()["tensors"])
    for cell_type in ("normal", "reduce"):
        assert {f"search_cell/{name}/{cell_type}" for name in ("drawing", "heat_map", "probabilities")} <= tags
        assert f"search_edges/{cell_type}/c_{{k-2}}-0" in tags


def test_a_chain_is_one_picture(tmp_path):
    run(tmp_path, epochs=1, space=proxyless((4, 6), (2, 1), (1, 2), 4, 1, 4, 8))
    tags = set(read(tmp_path).Tags()["tensors"])
    pictures = {tag for tag in tags if tag.startswith(("search_cell/drawing", "search_cell/heat_map"))}
    assert pictures == {"search_cell/drawing/network", "search_cell/heat_map/network"}
    assert {"search_cell/probabilities/block_02", "search_edges/block_03/input-output"} <= tags


def test_accuracies_of_a_table_are_written(tmp_path):
    state = new_state(tmp_path)
    advance(state, [])
    table = Table({0: str(state.genotype)}, {0: {"cifar10_test": 91.5}}, "fake")
    run(tmp_path, epochs=1, others=[TableLookup(table)])
    assert scalars(read(tmp_path), "table/cifar10_test") == [(1, 91.5)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "search").write_text("a file")
    with pytest.raises(UserError, match="Cannot write .*search"):
        TensorBoard().begin(new_state(tmp_path / "search"))
