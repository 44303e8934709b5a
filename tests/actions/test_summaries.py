import io
import json

import numpy as np
import pytest
from fake_search import RECORD, STEPS, advance, begin, metrics_at, new_state, probabilities, resumed, two_kinds
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from tf_edd.actions import TableLookup, TensorBoard
from tf_edd.actions.hparams import columns
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


def test_each_metric_goes_to_its_writer_at_the_global_step(searched):
    folder, _ = searched
    train, valid = read(folder / "train"), read(folder / "valid")
    of_valid = {"accuracy/valid", "accuracy/discretized", "loss/valid"}
    assert set(valid.Tags()["tensors"]) == of_valid
    for tag in metrics_at(1):
        found = scalars(valid if tag in of_valid else train, tag)
        assert [step for step, _ in found] == [STEPS, 2 * STEPS, 3 * STEPS]
        np.testing.assert_allclose([value for _, value in found], [metrics_at(e)[tag] for e in (1, 2, 3)], rtol=1e-6)
    assert not of_valid & set(train.Tags()["tensors"])


def test_entropy_of_each_edge_is_that_of_scipy(searched):
    stats = pytest.importorskip("scipy.stats")
    folder, state = searched
    train = read(folder / "train")
    for place, edge in enumerate(state.space.cells[0].edges):
        found = scalars(train, f"arch/entropy/cell/edge{edge.source}_{edge.target}")
        expected = [stats.entropy(probabilities(state.space, epoch)["cell"][place]) for epoch in (1, 2, 3)]
        np.testing.assert_allclose([value for _, value in found], expected, rtol=1e-5)


def test_images_decode_and_differ_between_epochs(searched):
    train = read(searched[0] / "train")
    for tag in ("arch/heat_map/cell", "arch/cell/cell"):
        found = strings(train, tag)
        assert [step for step, _ in found] == [STEPS, 2 * STEPS, 3 * STEPS]
        pictures = [np.asarray(Image.open(io.BytesIO(value[2]))) for _, value in found]
        assert [picture.shape for picture in pictures] == [(int(v[1]), int(v[0]), 3) for _, v in found]
        assert not np.array_equal(pictures[0], pictures[2])


def test_histogram_counts_every_probability(searched):
    for _, buckets in strings(read(searched[0] / "train"), "arch/probs/cell"):
        assert buckets[:, 2].sum() == 6 * 5


def test_texts_hold_the_genotype_and_once_the_configuration(searched):
    folder, state = searched
    train = read(folder / "train")
    genotypes = strings(train, "genotype")
    assert len(genotypes) == 3 and str(state.genotype) in genotypes[-1][1].item().decode()
    ((step, text),) = strings(train, "gin/config")
    assert step == 0 and "search.epochs = %epochs" in text.item().decode()


def test_a_search_from_python_shows_its_record(tmp_path):
    state = new_state(tmp_path)
    state.config = ""
    TensorBoard().begin(state).end(state)
    train = read(tmp_path / "train")
    assert "gin/config" not in train.Tags()["tensors"]
    ((step, text),) = strings(train, "record")
    text = text.item().decode()
    assert step == 0 and json.loads(text.removeprefix("```json").removesuffix("```")) == RECORD


def test_hparams_hold_the_record_and_declare_metrics_that_are_written(searched):
    folder, _ = searched
    contents = read(folder).summary_metadata
    parsed = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
        for tag, metadata in contents.items()
    }
    start = parsed["_hparams_/session_start_info"].session_start_info.hparams
    assert start["epochs"].number_value == 3 and start["seed"].number_value == 7
    assert start["method.discretizer"].string_value == "Argmax"
    assert start["method.weight_optimizer.nesterov"].bool_value is False
    experiment = parsed["_hparams_/experiment"].experiment
    assert {info.name for info in experiment.hparam_infos} == set(start)
    declared = [(metric.name.tag, metric.name.group) for metric in experiment.metric_infos]
    written = [(tag, group) for tag, group in declared if tag in read(folder / group).Tags()["tensors"]]
    assert set(declared) - set(written) == {("table/cifar10_test", "train")}  # this search has no table


def test_columns_are_the_values_of_the_record_parts_first_and_long_texts_left_out():
    assert columns(RECORD) == {
        "seed": 7,
        "epochs": 3,
        "split": "[0.5, 0.5]",
        "method": "Method",
        "data": "Digits",
        "method.arch_rate": "None",
        "method.discretizer": "Argmax",
        "method.weight_optimizer": "SGD",
        "method.weight_optimizer.nesterov": False,
        "method.weight_optimizer.momentum": 0.9,
    }
    assert list(columns(RECORD))[:5] == ["seed", "epochs", "split", "method", "data"]


def test_an_epoch_done_again_after_a_kill_stands_there_once(tmp_path):
    state = new_state(tmp_path)
    first = TensorBoard().begin(state)
    advance(state, [first])
    saved = json.loads(json.dumps(state.state_dict()))
    advance(state, [first])  # killed here: written, and not in the checkpoint

    state = resumed(saved, state)
    second = TensorBoard().begin(state)
    for _ in range(2):
        advance(state, [second])
    second.end(state)
    train, valid = read(tmp_path / "train"), read(tmp_path / "valid")
    steps = [STEPS, 2 * STEPS, 3 * STEPS]
    assert [step for step, _ in scalars(train, "loss/weights")] == steps
    assert [step for step, _ in scalars(valid, "accuracy/valid")] == steps
    assert [step for step, _ in strings(train, "arch/cell/cell")] == steps
    assert len(strings(train, "gin/config")) == 1
    assert len(read(tmp_path).Tensors("_hparams_/session_start_info")) == 1


def test_a_kill_in_the_first_epoch_leaves_one_configuration(tmp_path):
    for _ in range(2):
        state = new_state(tmp_path)
        advance(state, begin(state, TensorBoard()))
    assert [step for step, _ in scalars(read(tmp_path / "train"), "loss/weights")] == [STEPS]
    assert len(strings(read(tmp_path / "train"), "gin/config")) == 1
    assert len(read(tmp_path).Tensors("_hparams_/session_start_info")) == 1


def test_several_cell_kinds_have_tags_of_their_own(tmp_path):
    run(tmp_path, epochs=1, space=two_kinds())
    tags = set(read(tmp_path / "train").Tags()["tensors"])
    for cell_type in ("normal", "reduce"):
        assert {f"arch/cell/{cell_type}", f"arch/heat_map/{cell_type}", f"arch/probs/{cell_type}"} <= tags
        assert f"arch/entropy/{cell_type}/edge0_2" in tags


def test_a_chain_is_one_picture(tmp_path):
    run(tmp_path, epochs=1, space=proxyless((4, 6), (2, 1), (1, 2), 4, 1, 4, 8))
    tags = set(read(tmp_path / "train").Tags()["tensors"])
    assert {tag for tag in tags if tag.startswith(("arch/cell", "arch/heat_map"))} == {
        "arch/cell/network",
        "arch/heat_map/network",
    }
    assert {"arch/probs/block_02", "arch/entropy/block_03/edge0_1"} <= tags


def test_accuracies_of_a_table_are_written(tmp_path):
    state = new_state(tmp_path)
    advance(state, [])
    table = Table({0: str(state.genotype)}, {0: {"cifar10_test": 91.5}}, "fake")
    run(tmp_path, epochs=1, others=[TableLookup(table)])
    assert scalars(read(tmp_path / "train"), "table/cifar10_test") == [(STEPS, 91.5)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "search").write_text("a file")
    with pytest.raises(UserError, match="Cannot write .*search"):
        TensorBoard().begin(new_state(tmp_path / "search"))
