"""What happens around the search loop: event files, records, drawings, warnings, table look-up,
sharpness of the loss.

Actions are called by the chief process, one after the other in the order of the list and with one mutable dict of
metrics, so that an action sees what those before it have added: `table_lookup` and `sharpness` come first.
"""

from tf_edd.actions.action import Action
from tf_edd.actions.collapse import collapse_warning
from tf_edd.actions.figures import drawings
from tf_edd.actions.lookup import table_lookup
from tf_edd.actions.records import genotype_log
from tf_edd.actions.sharpness import sharpness
from tf_edd.actions.summaries import tensorboard
from tf_edd.architectures.table import Table

__all__ = [
    "Action",
    "collapse_warning",
    "default_actions",
    "drawings",
    "genotype_log",
    "sharpness",
    "table_lookup",
    "tensorboard",
]


def default_actions(table: Table | None = None, measure: Action | None = None) -> list[Action]:
    """The usual list, in the order that the parts need.

    Args:
        table: log its accuracies beside those of the search.
        measure: an action whose metrics the others are to see, such as `sharpness()`.
    """
    first = [*([] if table is None else [table_lookup(table)]), *([] if measure is None else [measure])]
    return [*first, tensorboard(), genotype_log(), drawings(), collapse_warning()]
