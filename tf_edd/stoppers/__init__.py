"""Stoppers: when a search has to end, and which epoch's cell is its result.

    stopper(history, space, epochs) -> Verdict(epoch, reason), or None to go on

A stopper is a function of what the epochs have recorded, so a resumed search comes to the same verdict.
"""

from tf_edd.stoppers.collapse import CollapsedSearch, HealthyCell
from tf_edd.stoppers.eigenvalue import EigenvalueStop
from tf_edd.stoppers.stopper import ReadsMetrics, Stopper, Verdict

__all__ = ["CollapsedSearch", "EigenvalueStop", "HealthyCell", "ReadsMetrics", "Stopper", "Verdict"]
