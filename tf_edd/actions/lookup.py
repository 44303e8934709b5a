"""The measured accuracy of the current cell, beside what the search believes of it."""

import gin

from tf_edd.actions.search_state import SearchState
from tf_edd.architectures import table as tabular
from tf_edd.errors import UserError


class _TableLookup:
    """See `table_lookup`."""

    def __init__(self, table: tabular.Table):
        self._table = table

    def begin(self, state: SearchState) -> None:
        """Refuses a space that the table does not hold."""
        if state.space.name != tabular.SPACE:
            raise UserError(
                f"table_lookup expects a search in the space {tabular.SPACE!r}. Received: space {state.space.name!r}"
            )

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Adds the accuracies to the metrics and to the history."""
        accuracies = self._accuracies(state)
        metrics.update(accuracies)
        state.history[-1].update(accuracies)

    def end(self, state: SearchState) -> None:
        """Adds those of the cell that a selector has chosen to its record."""
        if state.selection is not None:
            state.selection.update(self._accuracies(state))

    def _accuracies(self, state: SearchState) -> dict[str, float]:
        row = self._table.query(state.genotype)
        return {f"table/{column}": float(row[column]) for column in tabular.ACCURACIES if column in row}


@gin.configurable(module="tf_edd.actions")
def table_lookup(table: tabular.Table = gin.REQUIRED) -> _TableLookup:
    """Adds `table/<column>`, the measured accuracies (percent) of the current genotype, to the metrics and the history.

    Must stand before the actions that are to see them. The search never reads them. Those of a cell that a selector has
    chosen join its record in `results.json`.

    Args:
        table: of NAS-Bench-201, e.g. `@nb201_table()`.

    Raises:
        UserError: at the beginning of a search in another space.
    """
    return _TableLookup(table)
