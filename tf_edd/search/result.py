"""What a search returns."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPE, GENOTYPES, RESULTS
from tf_edd.runtime.local_folder import local_folder
from tf_edd.search.selection import selected_metrics

PROBS = "probs"  # what `GenotypeLog` adds to an epoch


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A finished search. In a notebook it shows the cell.

    Attributes:
        genotype: The searched cell; with a selector the selected one.
        history: One dict per epoch: `epoch`, `genotype` and the metrics by their TensorBoard tags; the probabilities
            that `genotypes.jsonl` holds are left out.
        folder: Of the search, with `trajectories.png`, `cell.svg`, `genotypes.jsonl` and the event files.
    """

    genotype: Genotype
    history: tuple[dict, ...]
    folder: Path

    def __post_init__(self):
        kept = ({name: value for name, value in row.items() if name != PROBS} for row in self.history)
        object.__setattr__(self, "history", tuple(kept))

    @classmethod
    def load(cls, model_dir) -> "SearchResult":
        """The result of the finished search in `model_dir`, as `tf_edd.search` returned it.

        Its history is that of `genotypes.jsonl`: empty, where the search did not write one.

        Raises:
            UserError: There is no finished search.
        """
        folder = local_folder(model_dir) / "search"
        if not (folder / RESULTS).is_file():
            raise UserError(
                f"Expected the model_dir of a finished search. Received: {model_dir} ({folder / RESULTS} is not there)"
            )
        log = folder / GENOTYPES
        history = files.read_history(log) if log.is_file() else ()
        return cls(Genotype.from_json(files.read_json(folder / GENOTYPE)), tuple(history), folder)

    def __str__(self):
        return f"{self.genotype} ({len(self.history)} epochs, {self.folder})"

    def _repr_html_(self):
        pictures = [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("cell*.svg"))]
        return "".join(pictures) or f"<code>{self.genotype}</code>"


def results(state: SearchState) -> dict:
    """The content of `results.json`; all of it but the record of a selection is about one cell."""
    row = state.history[-1 if state.verdict is None else state.verdict["epoch"] - 1]
    metrics = {tag: value for tag, value in row.items() if isinstance(value, float)}
    found = {
        "genotype": str(state.genotype),
        "epochs": state.epochs,
        "seconds": state.seconds,
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "metrics": metrics,
        **({"verdict": state.verdict} if state.verdict else {}),
        **({"ticks": state.ticks} if state.ticks else {}),
        **({"decisions": state.decided} if state.decided else {}),
    }
    if state.selection is None:
        return found
    return {**found, "metrics": selected_metrics(metrics, state), "selection": state.selection}
