"""What a retraining keeps: its state, TensorBoard scalars, files of results and the networks themselves."""

import dataclasses
import os
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from tf_edd.actions import hparams
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.networks import blocks, final_network  # noqa: F401 (register the layers that a saved network names)
from tf_edd.runtime import files
from tf_edd.runtime.event_files import open_events
from tf_edd.runtime.file_names import GENOTYPE, RESULTS
from tf_edd.runtime.writing import writing
from tf_edd.training.curves import write_curves

BEST, LAST = "best", "last"
NETWORK = "model.keras"
HISTORY = "history.jsonl"
PARTS = ("train", "valid", "test")  # of the images; each is a run of TensorBoard


@dataclasses.dataclass
class RetrainState:
    """How far a retraining is; it is saved with its checkpoints.

    Attributes:
        epoch: Finished epochs.
        seconds: Time of training and evaluation, over all processes.
        best_epoch: Epoch of the best network so far; 0 for none.
        best_accuracy: Its accuracy on the held-out images.
        best_loss: Its loss there, which decides between equal accuracies.
        history: One flat dict of metrics for each finished epoch.
        position: Finished steps of the epoch that has begun; 0 except where a signal has ended the training.
        scalars: Tag -> its values in these steps.
    """

    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    history: list[dict] = dataclasses.field(default_factory=list)
    position: int = 0
    scalars: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    def add_steps(self, steps: list[dict[str, float]]) -> None:
        """Adds the scalars of some steps of an epoch."""
        self.position += len(steps)
        for values in steps:
            for tag, value in values.items():
                self.scalars.setdefault(tag, []).append(value)

    def end_epoch(self, metrics: dict, seconds: float) -> bool:
        """Adds an epoch; returns whether its network is the best so far on held-out images."""
        self.epoch, self.position, self.scalars = self.epoch + 1, 0, {}
        self.seconds += seconds
        self.history.append({"epoch": self.epoch, **metrics})
        return "accuracy/valid" in metrics and self.take_best(metrics["accuracy/valid"], metrics["loss/valid"])

    def take_best(self, accuracy: float, loss: float) -> bool:
        """Whether the network of the epoch just finished is the best so far; if so, it is remembered."""
        better = (accuracy, -loss) > (self.best_accuracy, -self.best_loss)
        if better:
            self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss
        return better

    def state_dict(self) -> dict:
        """The state as JSON-able values."""
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict) -> None:
        """Takes the values of `state_dict`."""
        for name, value in state.items():
            setattr(self, name, value)


class Summaries:
    """TensorBoard scalars of the runs `train`, `valid` and `test` in a folder; the step is the epoch.

    `loss/retrain` and `accuracy/retrain` are one chart of all runs each; what else is measured goes to `train`. A
    training that continues replaces what a killed process wrote after its last checkpoint. The run `test` is also a
    session of the HParams page, in the row of the search in the same `model_dir`. With held-out images it has one
    point, that of the best network.

    Args:
        folder: The folder of the retraining.
        chief: Whether this process writes.
    """

    def __init__(self, folder: Path, chief: bool):
        self._folder, self._chief = folder, chief
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, metrics: dict, epoch: int) -> None:
        """Writes the metrics of an epoch."""
        self._write(metrics, epoch, first_step=epoch if epoch > 1 else 0)

    def end(self, test: dict, best_epoch: int, epoch: int, text: str) -> None:
        """Writes what the best network reaches on the test images, and the outcome as text.

        Args:
            test: Metrics of the test images that no epoch has written; empty where each epoch has.
            best_epoch: Epoch of the best network.
            epoch: The last epoch.
            text: Of the page "Text".
        """
        self._write(test, best_epoch, first_step=0)
        if self._chief:
            with writing(self._folder), self._writer("train", epoch + 1).as_default(step=epoch):
                tf.summary.text("retrain/outcome", text)
                tf.summary.flush()

    def _write(self, metrics, step: int, first_step: int) -> None:
        if not self._chief:
            return
        with writing(self._folder):
            for name, value in metrics.items():
                run, tag = _place(name)
                with self._writer(run, first_step).as_default(step=step):
                    tf.summary.scalar(tag, value)
            for writer in self._writers.values():
                writer.flush()

    def _writer(self, run: str, first_step: int) -> tf.summary.SummaryWriter:
        if run not in self._writers:
            self._writers[run] = open_events(self._folder / run, first_step)
            if run == "test" and first_step == 0:
                with self._writers[run].as_default(step=0):
                    root = self._folder.parent
                    hparams.write(hparams.of_phase(root, "search") or hparams.of_phase(root, "retrain"), root)
        return self._writers[run]


def _place(name: str) -> tuple[str, str]:
    """Run and tag of a metric: `accuracy/test` is `accuracy/retrain` of the run `test`."""
    kind, _, part = name.rpartition("/")
    if part in PARTS:
        return part, f"{kind}/retrain"
    return "train", f"retrain/{part}"


class Records:
    """The files of a retraining.

    Args:
        folder: The folder of the retraining.
        network: Images -> logits; what is saved.
        chief: Whether this process writes.
    """

    def __init__(self, folder: Path, network: keras.Model, chief: bool):
        self._folder, self._network, self._chief = folder, network, chief
        self._summaries = Summaries(folder, chief)

    def begin(self, genotype: Genotype) -> None:
        """Writes the cell."""
        if self._chief:
            files.write_json(self._folder / GENOTYPE, genotype.to_json())

    def end_epoch(self, metrics: dict, epoch: int) -> None:
        """Writes the metrics of an epoch."""
        self._summaries.write(metrics, epoch)

    def end(self, state: RetrainState, results: dict, test: dict) -> None:
        """Writes curves, history and results; `test` is what no epoch has measured."""
        text = f"The network of epoch {state.best_epoch}, chosen by {results['chosen_by']}; ended {results['ended']}."
        self._summaries.end(test, state.best_epoch, state.epoch, text)
        if self._chief:
            write_curves(state.history, self._folder, state.best_epoch, test)
            files.write_lines(self._folder / HISTORY, state.history)
            files.write_json(self._folder / RESULTS, results)

    def save(self, which: str) -> None:
        """Writes the network as it is."""
        if self._chief:
            save_network(self._network, self._folder / which)


def save_network(model: keras.Model, folder: Path) -> Path:
    """Writes `folder/model.keras` whole or not at all.

    Raises:
        UserError: It cannot be written; an older one is left as it was.
    """
    path = files.make_folder(folder) / NETWORK
    try:
        with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=folder) as temporary:
            written = Path(temporary) / NETWORK
            model.save(written)
            os.replace(written, path)
    except OSError as error:
        raise files.write_error(path, error) from error
    return path


def load_network(folder: Path) -> keras.Model:
    """The network of `folder/model.keras`.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    path = Path(folder) / NETWORK
    if not path.is_file():
        raise UserError(f"Expected a trained network. Received: {path} (no such file)")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"Expected a network of this version of tf_edd. Received: {path} ({error})") from error
