"""What a retraining writes down: its state, TensorBoard scalars, curves and the networks themselves."""

import dataclasses
import os
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tf_edd.runtime.writing import writing
from tf_edd.analysis.drawing import save
from tf_edd.errors import UserError
from tf_edd.networks import final_network  # noqa: F401 (registers the layers that a saved network names)
from tf_edd.runtime import files

BEST, LAST = "best", "last"
NETWORK = "model.keras"
# Colours that people with any colour vision can tell apart (Okabe and Ito).
_TINTS = {"train": "#0072b2", "valid": "#009e73", "test": "#d55e00"}


@dataclasses.dataclass
class RetrainState:
    """How far a retraining is; travels in its checkpoints.

    Attributes:
        epoch: finished epochs.
        seconds: of training and evaluation, over all processes.
        best_epoch: the epoch of the best network so far, 0 for none.
        best_accuracy: its accuracy on the held-out part.
        best_loss: its loss there, which decides between equal accuracies.
        history: one flat dict of metrics for each finished epoch.
    """

    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    history: list[dict] = dataclasses.field(default_factory=list)

    def end_epoch(self, metrics: dict, seconds: float) -> bool:
        """Notes an epoch; returns whether its network is the best so far on a held-out part."""
        self.epoch += 1
        self.seconds += seconds
        self.history.append({"epoch": self.epoch, **metrics})
        return "accuracy/valid" in metrics and self.take_best(metrics["accuracy/valid"], metrics["loss/valid"])

    def take_best(self, accuracy: float, loss: float) -> bool:
        """Whether the network of the epoch just finished is the best so far; it is then noted."""
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
    """TensorBoard scalars of the runs `train` and `eval` of a folder; step = epoch.

    Args:
        folder: the retrain folder.
        chief: other processes write nothing.
    """

    def __init__(self, folder: Path, chief: bool):
        self._folder = folder
        with writing(folder):
            self._writers = {
                name: tf.summary.create_file_writer(str(folder / name)) if chief else tf.summary.create_noop_writer()
                for name in ("train", "eval")
            }

    def write(self, metrics: dict, epoch: int) -> None:
        """Writes the metrics of an epoch; those of the training images and speed to `train`, others to `eval`."""
        with writing(self._folder):
            for tag, value in metrics.items():
                run = "eval" if tag.endswith(("/valid", "/test")) else "train"
                with self._writers[run].as_default(step=epoch):
                    tf.summary.scalar(tag, value)
            for writer in self._writers.values():
                writer.flush()


class Records:
    """The files of a retraining.

    Args:
        folder: the retrain folder.
        network: images -> logits, what is saved.
        chief: other processes write nothing.
    """

    def __init__(self, folder: Path, network: keras.Model, chief: bool):
        self._folder, self._network, self._chief = folder, network, chief
        self._summaries = Summaries(folder, chief)

    def begin(self, genotype) -> None:
        """Writes the cell."""
        if self._chief:
            files.write_json(self._folder / "genotype.json", genotype.to_json())

    def end_epoch(self, metrics: dict, epoch: int, best: bool) -> None:
        """Writes the metrics of an epoch, and the best network before a checkpoint calls it so."""
        if best:
            self._save(BEST)
        self._summaries.write(metrics, epoch)

    def end(self, state: RetrainState, results: dict, save_best: bool) -> None:
        """Writes the last network, the curves and the results."""
        for which in (BEST, LAST) if save_best else (LAST,):
            self._save(which)
        if self._chief:
            write_curves(state.history, self._folder)
            files.write_lines(self._folder / "history.jsonl", state.history)
            files.write_json(self._folder / "results.json", results)

    def _save(self, which: str) -> None:
        if self._chief:
            save_network(self._network, self._folder / which)


def save_network(model: keras.Model, folder: Path) -> Path:
    """Writes `folder/model.keras` whole or not at all.

    Raises:
        UserError: it cannot be written; an older one is left as it was.
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
        UserError: there is none, or it cannot be read.
    """
    path = Path(folder) / NETWORK
    if not path.is_file():
        raise UserError(f"Expected a trained network. Received: {path} (no such file)")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"Expected a network of this version of tf_edd. Received: {path} ({error})") from error


def draw_curves(history: list[dict]) -> Figure:
    """Loss and accuracy over the epochs: training images, the held-out part if there is one, test images."""
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for axes, kind, title in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("loss (nats)", "accuracy"), strict=True):
        for part, tint in _TINTS.items():
            rows = [(row["epoch"], row[f"{kind}/{part}"]) for row in history if f"{kind}/{part}" in row]
            if rows:
                marker = "o" if len(rows) <= 30 else ""
                axes.plot(*zip(*rows, strict=True), color=tint, label=part, linewidth=2, marker=marker, markersize=3.5)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e8ed", linewidth=0.8)
        axes.legend(frameon=False)
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    return figure


def write_curves(history: list[dict], folder: Path) -> None:
    """Writes `folder/curves.png`."""
    with writing(folder / "curves.png"):
        save(draw_curves(history), folder / "curves.png")
