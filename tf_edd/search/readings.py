"""What a stopper reads of the metrics that actions measure."""

from collections.abc import Sequence

import tensorflow as tf

from tf_edd.actions import Action
from tf_edd.errors import UserError
from tf_edd.runtime.record import describe
from tf_edd.runtime.strategy import has_workers
from tf_edd.stoppers import ReadsMetrics, Stopper


def readings(stopper: Stopper | None, actions: Sequence[Action], strategy: tf.distribute.Strategy) -> dict:
    """What the record of a search says of the actions that decide when it ends; empty where none does.

    Raises:
        UserError: A metric that the stopper reads and that no action measures, or several workers, of which only the
            chief measures.
    """
    if not isinstance(stopper, ReadsMetrics):
        return {}
    name, measured = type(stopper).__name__, {tag for action in actions for tag in action.measures}
    if missing := [tag for tag in stopper.reads if tag not in measured]:
        given = ", ".join(type(action).__name__ for action in actions) or "none"
        raise UserError(
            f"{name} reads {' and '.join(missing)}, which no action of this search measures: give search.actions one, "
            f"such as actions.sharpness = @Sharpness(). Received: {given}"
        )
    if has_workers(strategy):
        raise UserError(f"{name} reads what only the chief of several workers measures. Received: several workers")
    return {"measured_by": describe([action for action in actions if set(action.measures) & set(stopper.reads)])}
