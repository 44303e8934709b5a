"""What happens around the search loop: event files, records, drawings, warnings, table look-up, sharpness.

Actions are called by the chief process. All of them measure before any of them sees the metrics of an epoch, so their
order does not matter.

    CollapseWarning   logs a warning when a cell collapses or a search stands still
    Drawings          files with the cell, the probabilities and the course of the search
    GenotypeLog       genotypes.jsonl and genotype.json
    TensorBoard       event files
    TableLookup       accuracies of the current cell in NAS-Bench-201
    Sharpness         curvature of the validation loss around the logits

The first four are `DEFAULT_ACTIONS`; `actions(...)` adds to them by name.
"""

from tf_edd.actions.action import Action, RunningAction
from tf_edd.actions.collapse import CollapseWarning
from tf_edd.actions.figures import Drawings
from tf_edd.actions.gathered import DEFAULT_ACTIONS, actions
from tf_edd.actions.lookup import TableLookup
from tf_edd.actions.records import GenotypeLog
from tf_edd.actions.sharpness import Sharpness
from tf_edd.actions.summaries import TensorBoard

__all__ = [
    "Action",
    "CollapseWarning",
    "DEFAULT_ACTIONS",
    "Drawings",
    "GenotypeLog",
    "RunningAction",
    "Sharpness",
    "TableLookup",
    "TensorBoard",
    "actions",
]
