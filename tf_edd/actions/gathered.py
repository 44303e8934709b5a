"""The list of actions of a search, to which a gin file can add without repeating it."""

import gin

from tf_edd.actions.action import Action
from tf_edd.actions.collapse import CollapseWarning
from tf_edd.actions.figures import Drawings
from tf_edd.actions.records import GenotypeLog
from tf_edd.actions.summaries import TensorBoard
from tf_edd.errors import UserError
from tf_edd.part import checked, shown

_DEFAULTS = ("collapse_warning", "drawings", "genotype_log", "tensorboard")
_CLASSES = (CollapseWarning, Drawings, GenotypeLog, TensorBoard)
DEFAULT_ACTIONS = (CollapseWarning(), Drawings(), GenotypeLog(), TensorBoard())


@checked(module="tf_edd.actions")
def actions(
    collapse_warning=CollapseWarning,
    drawings=Drawings,
    genotype_log=GenotypeLog,
    tensorboard=TensorBoard,
    **named: Action | None,
) -> tuple[Action, ...]:
    """The default actions with those of other names added.

        search.actions = @actions()
        actions.sharpness = @Sharpness()       # added
        actions.drawings = None                # removed

    Args:
        collapse_warning: Warnings; an action, a class of actions that need no arguments, or None.
        drawings: Pictures of the cell and of the search.
        genotype_log: The records that reports and a retraining read.
        tensorboard: Event files.
        **named: Further actions, under any name.

    Returns:
        The actions, sorted by name.

    Raises:
        UserError: Something that is no action.
    """
    named |= {"collapse_warning": collapse_warning, "drawings": drawings}
    named |= {"genotype_log": genotype_log, "tensorboard": tensorboard}
    if unknown := [name for name, action in named.items() if action is None and name not in _DEFAULTS]:
        raise UserError(f"Only {', '.join(_DEFAULTS)} can be removed. Received: actions.{unknown[0]} = None")
    kept = {name: _made(action) for name, action in sorted(named.items()) if action is not None}
    for name, action in kept.items():
        if not isinstance(action, Action):
            raise UserError(f"actions.{name} must be an action such as @Drawings() or None. Received: {shown(action)}")
    return tuple(kept.values())


def _made(action):
    """The defaults are classes: they are made with the values that gin binds for them."""
    return gin.get_configurable(action)() if action in _CLASSES else action
