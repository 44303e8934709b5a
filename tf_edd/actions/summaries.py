"""The search in TensorBoard."""

import dataclasses
import json
from pathlib import Path

import gin
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from tf_edd.actions import hparams
from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import drawing, pictures
from tf_edd.relaxations import entropy
from tf_edd.runtime.writing import writing

VALID_TAGS = ("accuracy/valid", "accuracy/discretized", "loss/valid")


@gin.register(module="tf_edd.actions")
@dataclasses.dataclass(frozen=True)
class TensorBoard(Action):
    """Writes event files into the folder of the search, flushed each epoch; the x axis is the global step.

    - `train/`: losses, entropies (of each edge: `arch/entropy/<cell_type>/edge<source>_<target>`, nats), temperature
      and all other metrics; histogram `arch/probs/<cell_type>`, images `arch/heat_map/<cell_type>` (edges by
      operations) and `arch/cell/<cell_type>`, texts `genotype` and `gin/config` (`record` for a search from Python). A
      chain of blocks is one picture, its type is `network`.
    - `valid/`: loss and accuracies on the validation split, of the supernet and of the discretized network.
    - the folder itself: the record of the search as a trial of the HParams page.

    A resumed search replaces what a killed process wrote after its last checkpoint.

    Raises:
        UserError: The files cannot be created. TensorFlow's writer does not report a disk that fills up later; the
            records and checkpoints of the same epoch do.
    """

    def begin(self, state: SearchState) -> RunningAction:
        with writing(state.folder):
            writers = {name: _open(state.folder / name, state) for name in ("train", "valid")}
            if state.step == 0:  # a resumed search has written its configuration already
                _write_hparams(state)
                with writers["train"].as_default(step=0):
                    _write_configuration(state)
            _flush(writers)
        return _EventFiles(writers)


class _EventFiles(RunningAction):
    """Holds the open event files of a search."""

    def __init__(self, writers: dict[str, tf.summary.SummaryWriter]):
        self._writers = writers

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        with writing(state.folder):
            with self._writers["valid"].as_default(step=state.step):
                _write_scalars({tag: value for tag, value in metrics.items() if tag in VALID_TAGS})
            with self._writers["train"].as_default(step=state.step):
                _write_scalars({tag: value for tag, value in metrics.items() if tag not in VALID_TAGS})
                tf.summary.text("genotype", f"```\n{state.genotype}\n```")
                for cell_type in state.probs:
                    _write_kind(state, cell_type)
                _write_images("arch/heat_map", pictures.draw_probabilities(state.probs, state.space))
                _write_images("arch/cell", pictures.draw_architecture(state.genotype, state.space, state.probs))
            _flush(self._writers)

    def end(self, state: SearchState) -> None:
        with writing(state.folder):
            for writer in self._writers.values():
                writer.close()


def _flush(writers: dict[str, tf.summary.SummaryWriter]) -> None:
    for writer in writers.values():
        writer.flush()


def _open(folder: Path, state: SearchState) -> tf.summary.SummaryWriter:
    """A writer whose file begins with the mark that makes TensorBoard drop what it has from this step on.

    A kill may come after an epoch was written and before its checkpoint: the epoch is written again.
    """
    writer = tf.summary.create_file_writer(str(folder))
    first = state.step + 1 if state.step else 0
    mark = event_pb2.Event(step=first, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
    # The writers of TF 2 have no public way to write an event that is not a summary.
    tf.raw_ops.ImportEvent(writer=writer._resource, event=mark.SerializeToString())
    return writer


def _write_hparams(state: SearchState) -> None:
    """Into the folder of the search, which is the trial; `train` and `valid` below it are the groups of its metrics."""
    writer = _open(state.folder, state)
    with writer.as_default(step=0):
        hparams.write({"seed": state.seed, **hparams.columns(state.record)})
    writer.close()


def _write_configuration(state: SearchState) -> None:
    """The gin text or, for a search from Python, the record."""
    if state.config:
        tf.summary.text("gin/config", gin.markdown(state.config))
    else:
        tf.summary.text("record", f"```json\n{json.dumps(state.record, indent=2)}\n```")


def _write_scalars(values: dict[str, float]) -> None:
    for tag, value in values.items():
        tf.summary.scalar(tag, value)


def _write_kind(state: SearchState, cell_type: str) -> None:
    """Entropy of each edge, histogram of the probabilities."""
    probs, cell = state.probs[cell_type], state.space.cell(cell_type)
    for edge, nats in zip(cell.edges, entropy(probs).numpy(), strict=True):
        tf.summary.scalar(f"arch/entropy/{cell_type}/edge{edge.source}_{edge.target}", nats)
    tf.summary.histogram(f"arch/probs/{cell_type}", probs)


def _write_images(tag: str, figures) -> None:
    for cell_type, figure in figures.items():
        tf.summary.image(f"{tag}/{cell_type}", drawing.to_image(figure)[None])
