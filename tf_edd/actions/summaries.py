"""The search in TensorBoard."""

from pathlib import Path

import gin
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from tf_edd.actions import hparams
from tf_edd.runtime.writing import writing
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import drawing, pictures
from tf_edd.relaxations import relaxations
from tf_edd.runtime import config

VALID_TAGS = ("accuracy/valid", "accuracy/discretized", "loss/valid")


class _TensorBoard:
    """See `tensorboard`."""

    def __init__(self):
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def begin(self, state: SearchState) -> None:
        """Opens the event files; a new search writes its configuration, one that is continued has it already."""
        with writing(state.model_dir):
            self._writers = {name: _open(state.model_dir / name, state) for name in ("train", "valid")}
            if state.step == 0:
                _write_hparams(state)
                with self._writers["train"].as_default(step=0):
                    tf.summary.text("gin/config", config.markdown(state.config))
            self._flush()

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Writes the epoch at the step it ended with."""
        with writing(state.model_dir):
            with self._writers["valid"].as_default(step=state.step):
                _write_scalars({tag: value for tag, value in metrics.items() if tag in VALID_TAGS})
            with self._writers["train"].as_default(step=state.step):
                _write_scalars({tag: value for tag, value in metrics.items() if tag not in VALID_TAGS})
                tf.summary.text("genotype", f"```\n{state.genotype}\n```")
                for kind in state.probs:
                    _write_kind(state, kind)
                _write_images("arch/heat_map", pictures.draw_probabilities(state.probs, state.space))
                _write_images("arch/cell", pictures.draw_architecture(state.genotype, state.space, state.probs))
            self._flush()

    def end(self, state: SearchState) -> None:
        """Closes the event files."""
        with writing(state.model_dir):
            for writer in self._writers.values():
                writer.close()

    def _flush(self) -> None:
        for writer in self._writers.values():
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
    writer = _open(state.model_dir, state)
    with writer.as_default(step=0):
        hparams.write({**hparams.flat_bindings(state.config), "seed": state.seed})
    writer.close()


def _write_scalars(values: dict[str, float]) -> None:
    for tag, value in values.items():
        tf.summary.scalar(tag, value)


def _write_kind(state: SearchState, kind: str) -> None:
    """Entropy of each edge, histogram of the probabilities."""
    probs, cell = state.probs[kind], state.space.cell(kind)
    for edge, entropy in zip(cell.edges, relaxations.entropy(probs).numpy(), strict=True):
        tf.summary.scalar(f"arch/entropy/{kind}/edge{edge.source}_{edge.target}", entropy)
    tf.summary.histogram(f"arch/probs/{kind}", probs)


def _write_images(tag: str, figures) -> None:
    for kind, figure in figures.items():
        tf.summary.image(f"{tag}/{kind}", drawing.to_image(figure)[None])


@gin.configurable(module="tf_edd.actions")
def tensorboard() -> _TensorBoard:
    """Writes event files for TensorBoard into the folder of the search, flushed each epoch; the step is the global one.

    - `train/`: losses, entropies (of each edge: `arch/entropy/<kind>/edge<source>_<target>`, nats), temperature and all
      other metrics; histogram `arch/probs/<kind>`, images `arch/heat_map/<kind>` (edges by operations) and
      `arch/cell/<kind>`, texts `genotype` and `gin/config`. A chain of blocks is one picture, its kind is `network`.
    - `valid/`: loss and accuracies on the validation half, of the supernet and of the discretised network.
    - the folder itself: the bindings of the configuration as a trial of the HParams page.

    A search that is continued replaces what a killed process had written after its last checkpoint.

    Raises:
        UserError: the files cannot be made. TensorFlow's writer does not tell of a disk that fills up later; the
            records and checkpoints of the same epoch do.
    """
    return _TensorBoard()
