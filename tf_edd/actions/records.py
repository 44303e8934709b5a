"""The record of every epoch's genotype, as files."""

from collections.abc import Mapping

import numpy as np

from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.search_state import SearchState
from tf_edd.part import part
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPE, GENOTYPES

DIGITS = 6


@part(module="tf_edd.actions")
class GenotypeLog(Action):
    """Keeps `genotypes.jsonl`, one line per epoch, and `genotype.json`, the current cell.

    A line is an entry of `state.history` (epoch, genotype, metrics) with "probs", cell type -> [E][O], rounded to six
    digits, which this action adds, and "decisions", texts that say what was decided after the epoch. The file is
    rewritten each epoch, whole or not at all, so it agrees with the checkpoint after a kill. Where a selector follows,
    `genotype.json` is left to it.

    Raises:
        UserError: A file cannot be written.
    """

    def begin(self, state: SearchState) -> RunningAction:
        # Drops the epochs that will be repeated because a kill came before their checkpoint.
        files.write_lines(state.folder / GENOTYPES, state.history)
        return self

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        state.history[-1].setdefault("probs", rounded(state.probs))
        if decided := state.decided_now:
            state.history[-1]["decisions"] = decided
        files.write_lines(state.folder / GENOTYPES, state.history)
        if not state.selects:  # else a kill in the selection would leave a cell that was not chosen
            files.write_json(state.folder / GENOTYPE, state.genotype.to_json())


def rounded(probs: Mapping[str, np.ndarray]) -> dict[str, list]:
    """Cell type -> [E][O], to six digits."""
    # float64 first: float32 numbers rounded to 6 digits print with more.
    return {cell_type: np.round(np.asarray(table, np.float64), DIGITS).tolist() for cell_type, table in probs.items()}
