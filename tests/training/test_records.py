"""The state of a retraining, and what it writes for TensorBoard."""

import json

from next_second import wait_for_the_next_second
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from tf_edd.actions import hparams
from tf_edd.runtime import files
from tf_edd.training.records import RetrainState, Summaries


def test_best_is_by_accuracy_then_loss():
    state = RetrainState()
    taken = []
    for state.epoch, pair in enumerate([(0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.5, 0.95), (0.6, 3.0)], start=1):
        taken.append(state.take_best(*pair))
    assert taken == [True, True, False, False, True] and state.best_epoch == 5
    copy = RetrainState()
    copy.load_state_dict(json.loads(json.dumps(state.state_dict())))
    assert copy == state


def tags_of(folder):
    """Run -> tag -> (step, value) of each event, as TensorBoard reads them."""
    runs = {}
    for run in sorted(path.name for path in folder.iterdir()):
        events = EventAccumulator(str(folder / run), size_guidance={"tensors": 0}).Reload()
        names = [tag for tag in events.Tags()["tensors"] if not tag.startswith("_hparams_")]
        runs[run] = {
            tag: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
            for tag in names
        }
    return runs


def epoch_metrics(epoch):
    return {"loss/train": 4.0 / epoch, "accuracy/train": 0.25, "accuracy/test": 0.5, "learning_rate": 0.125}


def test_all_parts_are_one_chart_and_an_epoch_done_again_stands_there_once(tmp_path):
    folder = tmp_path / "retrain"
    first = Summaries(folder, chief=True)
    for epoch in (1, 2):
        first.write(epoch_metrics(epoch), epoch)
    wait_for_the_next_second()
    second = Summaries(folder, chief=True)  # the process was killed after epoch 2 and before its checkpoint
    second.write({**epoch_metrics(2), "loss/train": 1.0, "speed/images_per_second": 64.0}, 2)
    second.write({"accuracy/valid": 0.75}, 3)
    assert tags_of(folder) == {
        "test": {"accuracy/retrain": [(1, 0.5), (2, 0.5)]},
        "train": {
            "loss/retrain": [(1, 4.0), (2, 1.0)],
            "accuracy/retrain": [(1, 0.25), (2, 0.25)],
            "retrain/learning_rate": [(1, 0.125), (2, 0.125)],
            "retrain/images_per_second": [(2, 64.0)],
        },
        "valid": {"accuracy/retrain": [(3, 0.75)]},
    }


def test_the_test_accuracy_joins_the_row_of_the_search(tmp_path):
    record = {"seed": 5, "epochs": 9, "method": {"@": "Method", "relaxation": {"@": "Softmax"}}}
    files.write_json(tmp_path / "search" / "record.json", record)
    summaries = Summaries(tmp_path / "retrain", chief=True)
    for epoch in (1, 2):
        summaries.write(epoch_metrics(epoch), epoch)
    metadata = EventAccumulator(str(tmp_path / "retrain" / "test")).Reload().summary_metadata
    content = metadata["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.group_name == hparams.trial(tmp_path) and set(start.hparams) == set(hparams.columns(record))
    assert ("accuracy/retrain", "", "retrained, test accuracy") in hparams.METRICS


def test_only_the_chief_writes(tmp_path):
    Summaries(tmp_path / "retrain", chief=False).write(epoch_metrics(1), 1)
    assert not (tmp_path / "retrain").exists()
