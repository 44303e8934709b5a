"""What a finished search has left behind, for what builds on it."""

from collections.abc import Mapping
from pathlib import Path

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPES, RESULTS, SPACE
from tf_edd.runtime.model_dir import has_results
from tf_edd.search.result import PROBS
from tf_edd.spaces import Space, space_from_json


def finished_space(folder: Path) -> Space:
    """The space of a finished search.

    Args:
        folder: Of the search, `model_dir/search`.

    Raises:
        UserError: There is no finished search.
    """
    if not has_results(folder):
        raise UserError(f"Expected the model_dir of a finished search. Received: {folder.parent}")
    return space_from_json(files.read_json(folder / SPACE))


def recorded_probs(folder: Path) -> Mapping[str, list]:
    """Cell type -> the noise-free probabilities [E, O] of the epoch that counts.

    Args:
        folder: Of a finished search, `model_dir/search`.

    Raises:
        UserError: The search has not kept them.
    """
    log = folder / GENOTYPES
    history = files.read_history(log) if log.is_file() else []
    verdict = files.read_object(folder / RESULTS).get("verdict")
    row = history[verdict["epoch"] - 1 if verdict else -1] if history else {}
    if PROBS not in row:
        raise UserError(f"Expected a search that keeps its probabilities (GenotypeLog). Received: {log}, without them")
    return row[PROBS]
