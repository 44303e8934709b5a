"""The record of every epoch's genotype, as files."""

import gin
import numpy as np

from tf_edd.actions.search_state import SearchState
from tf_edd.runtime import files

LOG = "genotypes.jsonl"
GENOTYPE = "genotype.json"
DIGITS = 6


class _GenotypeLog:
    """See `genotype_log`."""

    def begin(self, state: SearchState) -> None:
        """Drops the lines of epochs that will be done again, because a kill came before their checkpoint."""
        files.write_lines(state.model_dir / LOG, state.history)

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Writes the files."""
        state.history[-1].setdefault("probs", _rounded(state))
        files.write_lines(state.model_dir / LOG, state.history)
        if not state.selects:  # else a kill in the selection would leave a cell that was not chosen
            files.write_json(state.model_dir / GENOTYPE, state.genotype.to_json())

    def end(self, state: SearchState) -> None:
        """Nothing is left to do."""


def _rounded(state: SearchState) -> dict[str, list]:
    # float64 first: float32 numbers rounded to 6 digits print with more.
    return {kind: np.round(np.asarray(probs, np.float64), DIGITS).tolist() for kind, probs in state.probs.items()}


@gin.configurable(module="tf_edd.actions")
def genotype_log() -> _GenotypeLog:
    """Keeps `genotypes.jsonl` (one line an epoch) and `genotype.json` (the current cell; not where a selector follows).

    A line is an entry of `state.history` (epoch, genotype, metrics) with "probs", cell kind -> [E][O], rounded to six
    digits, which this action adds. The file is written anew each epoch, whole or not at all, so it agrees with the
    checkpoint after a kill.

    Raises:
        UserError: the files cannot be written.
    """
    return _GenotypeLog()
