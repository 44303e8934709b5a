"""What a search returns."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.genotype import Genotype
from tf_edd.search.selection import selected_metrics


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A finished search. In a notebook it shows the cell.

    Attributes:
        genotype: The searched cell; with a selector the selected one.
        history: One dict per epoch: `epoch`, `genotype` and the metrics by their TensorBoard tags.
        folder: Of the search, with `trajectories.png`, `cell.svg`, `genotypes.jsonl` and the event files.
    """

    genotype: Genotype
    history: tuple[dict, ...]
    folder: Path

    def __str__(self):
        return f"{self.genotype} ({len(self.history)} epochs, {self.folder})"

    def _repr_html_(self):
        pictures = [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("cell*.svg"))]
        return "".join(pictures) or f"<code>{self.genotype}</code>"


def results(state: SearchState) -> dict:
    """What a search has come to, for `results.json`; all of it but the record of a selection is about one cell."""
    metrics = {tag: value for tag, value in state.history[-1].items() if isinstance(value, float)}
    found = {
        "genotype": str(state.genotype),
        "epochs": state.epochs,
        "seconds": state.seconds,
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "metrics": metrics,
    }
    if state.selection is None:
        return found
    return {**found, "metrics": selected_metrics(metrics, state), "selection": state.selection}
