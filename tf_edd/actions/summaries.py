"""The search in TensorBoard."""

import json

import gin
import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar

from tf_edd.actions import event_tags, hparams
from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import figure_files, pictures
from tf_edd.analysis.cell_layout import edge_name
from tf_edd.part import part
from tf_edd.relaxations import entropy
from tf_edd.runtime.event_files import open_events
from tf_edd.runtime.writing import writing

# The page "Custom Scalars": title of a category -> title of a chart -> tags of its lines.
LAYOUT = {
    "accuracy": {"search": ("accuracy/search",), "retraining": ("accuracy/retrain",)},
    "loss": {"search": ("loss/weights", "loss/arch", "loss/valid"), "retraining": ("loss/retrain",)},
    "architecture": {
        "entropy (nats)": ("search/entropy",),
        "temperature": ("search/temperature",),
        "entropy of each edge (nats)": ("search_edges/.*",),
        "edges without weights": ("search/(skip|none|noise)_count",),
    },
}
ABOUT = """\
A search of tf_edd: one network, the supernet, holds every candidate operation of every edge; the search learns a
distribution over the candidates, and the cell takes the most probable ones.

{rows}

1. `accuracy/search`: the supernet (run `search`) and the network of the current cell with the same weights (run
   `search/discretized`), on the validation split. The search has done its work when both are high and close together.
2. `search/entropy`: how undecided the edges are. `search/temperature` drives it.
3. Images: `search_cell` shows the probabilities and the current cell.

The unit of every x axis is the epoch.
"""


@part(module="tf_edd.actions")
class TensorBoard(Action):
    """Writes event files into the folder of the search, flushed each epoch; the x axis is the epoch.

    - the folder itself, the run `search`: `accuracy/search` of the supernet on the validation split, losses, entropies
      (of each edge: `search_edges/<cell_type>/<source>-<target>`, nats), with edge weights also those
      (`search_edge_weights/<cell_type>/<source>-<target>`), temperature and all other metrics; histogram
      `search_cell/probabilities/<cell_type>`, images `search_cell/heat_map/<cell_type>` (edges by operations) and
      `search_cell/drawing/<cell_type>`, texts `about`, `genotype`, `decisions` where a method has some, and
      `gin/config` (`record` for a search from Python).
      A chain of blocks is one picture, its type is `network`.
    - `discretized/`: `accuracy/search` of the discretized network.
    - `ticks/`, where `Method.ticks` is given: `search/entropy` and `search/temperature` at each tick; the x axis is the
      step.
    - a layout of the Custom Scalars page, and the record of the search as a row of the HParams page.

    The names of the metrics in `genotypes.jsonl` become tags by `actions.event_tags`. A resumed search replaces what a
    killed process wrote after its last checkpoint.

    Raises:
        UserError: The files cannot be created. TensorFlow's writer does not report a disk that fills up later; the
            records and checkpoints of the same epoch do.
    """

    def begin(self, state: SearchState) -> RunningAction:
        with writing(state.folder):
            first = state.epoch + 1 if state.step else 0
            writers = {run: open_events(state.folder / run, first) for run in event_tags.RUNS}
            if state.step == 0:  # a resumed search has written its configuration already
                with writers[event_tags.SUPERNET].as_default(step=0):
                    _write_configuration(state)
            _flush(writers)
        return _EventFiles(writers)


class _EventFiles(RunningAction):
    """Holds the open event files of a search."""

    def __init__(self, writers: dict[str, tf.summary.SummaryWriter]):
        self._writers = writers

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        with writing(state.folder):
            for run, values in event_tags.place(metrics, state.space).items():
                with self._writers[run].as_default(step=state.epoch):
                    for tag, value in values.items():
                        tf.summary.scalar(tag, value)
            with self._writers[event_tags.SUPERNET].as_default(step=state.epoch):
                tf.summary.text("genotype", f"```\n{state.genotype}\n```")
                if decided := state.decided_now:
                    tf.summary.text("decisions", "```\n" + "\n".join(decided) + "\n```")
                for cell_type in state.probs:
                    _write_kind(state, cell_type)
                _write_images("heat_map", pictures.draw_probabilities(state.probs, state.space, small=True))
                drawings = pictures.draw_architecture(state.genotype, state.space, state.probs, small=True)
                _write_images("drawing", drawings)
            self._write_ticks(state)
            _flush(self._writers)

    def _write_ticks(self, state: SearchState) -> None:
        """The ticks of an epoch, against the step."""
        if not state.ticks:
            return
        before = (state.epoch - 1) * state.batches.steps
        ticks = [tick for tick in state.ticks if tick["step"] > before]
        if ticks and event_tags.TICKS not in self._writers:
            self._writers[event_tags.TICKS] = open_events(state.folder / event_tags.TICKS, before + 1)
        for tick in ticks:
            with self._writers[event_tags.TICKS].as_default(step=tick["step"]):
                for name in ("entropy", "temperature"):
                    tf.summary.scalar(f"search/{name}", tick[name])

    def end(self, state: SearchState) -> None:
        with writing(state.folder):
            for writer in self._writers.values():
                writer.close()


def _flush(writers: dict[str, tf.summary.SummaryWriter]) -> None:
    for writer in writers.values():
        writer.flush()


def _write_configuration(state: SearchState) -> None:
    """What does not change: the row of the HParams page, the layout, and texts with the gin text or the record."""
    values = {"seed": state.seed, **hparams.columns(state.record)}
    hparams.write(values, state.folder.parent)
    tf.summary.experimental.write_raw_pb(custom_scalar.pb(_layout()).SerializeToString(), step=0)
    rows = "\n".join(["| | |", "|---|---|", *(f"| {name} | {values[name]} |" for name in values if "." not in name)])
    tf.summary.text("about", ABOUT.format(rows=rows))
    if state.config:
        tf.summary.text("gin/config", gin.markdown(state.config))
    else:
        tf.summary.text("record", f"```json\n{json.dumps(state.record, indent=2)}\n```")


def _layout() -> layout_pb2.Layout:
    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title=category,
                chart=[
                    layout_pb2.Chart(
                        title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$" for tag in tags])
                    )
                    for title, tags in charts.items()
                ],
            )
            for category, charts in LAYOUT.items()
        ]
    )


def _write_kind(state: SearchState, cell_type: str) -> None:
    """Entropy and weight of each edge, histogram of the probabilities."""
    probs, cell = state.probs[cell_type], state.space.cell(cell_type)
    for edge, nats in zip(cell.edges, entropy(probs).numpy(), strict=True):
        tf.summary.scalar(f"search_edges/{cell_type}/{edge_name(edge, cell, '-')}", nats)
    if state.relaxation is not None and state.relaxation.edge_weights is not None:
        for edge, weight in zip(cell.edges, np.sum(probs, axis=1), strict=True):
            tf.summary.scalar(f"search_edge_weights/{cell_type}/{edge_name(edge, cell, '-')}", weight)
    tf.summary.histogram(f"search_cell/probabilities/{cell_type}", probs)


def _write_images(name: str, figures) -> None:
    for cell_type, figure in figures.items():
        tf.summary.image(f"search_cell/{name}/{cell_type}", figure_files.to_image(figure)[None])
