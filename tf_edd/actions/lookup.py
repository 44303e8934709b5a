"""The measured accuracy of the current cell, beside the search's own estimate."""

from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.search_state import SearchState
from tf_edd.architectures import table as tabular
from tf_edd.errors import UserError
from tf_edd.part import part


@part(module="tf_edd.actions")
class TableLookup(Action):
    """Measures `table/<column>`, the accuracies (percent) of the current genotype after full training.

    The search never reads them. Where a selector has chosen the cell, its accuracies join the record of the selection
    in `results.json`.

    Attributes:
        table: The table of NAS-Bench-201, e.g. `@NasBench201Table()`, or one that is already loaded.

    Raises:
        UserError: The search is in another space, or the table cannot be read; both before the search begins.
    """

    table: tabular.NasBench201Table | tabular.Table

    def check(self, state: SearchState) -> None:
        if state.space.name != tabular.SPACE:
            raise UserError(
                f"TableLookup expects a search in the space {tabular.SPACE!r}. Received: space {state.space.name!r}"
            )
        self._opened()

    def begin(self, state: SearchState) -> RunningAction:
        return _LoadedTable(self._opened())

    def _opened(self) -> tabular.Table:
        return self.table if isinstance(self.table, tabular.Table) else self.table.load()


class _LoadedTable(RunningAction):
    """Holds the table during a search."""

    def __init__(self, table: tabular.Table):
        self._table = table

    def measure(self, state: SearchState) -> dict[str, float]:
        row = self._table.query(state.genotype)
        return {f"table/{column}": float(row[column]) for column in tabular.ACCURACIES if column in row}

    def end(self, state: SearchState) -> None:
        if state.selection is not None:
            state.selection.update(self.measure(state))
