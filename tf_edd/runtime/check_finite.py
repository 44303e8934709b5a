"""Losses and variables that must stay finite, checked before a checkpoint may take the place of a good one."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tf_edd.errors import UserError


def check_losses(values: Mapping[str, float], epochs_done: int) -> None:
    """Raises UserError for a value whose tag begins with `loss/` and that is not finite."""
    broken = [tag for tag, value in values.items() if tag.startswith("loss/") and not math.isfinite(value)]
    if broken:
        raise _diverged(", ".join(broken), epochs_done)


def check_variables(groups: Mapping[str, Sequence], epochs_done: int) -> None:
    """Raises UserError naming the first group that has a variable which is not finite."""
    for name, variables in groups.items():
        if not all(np.isfinite(_value(variable)).all() for variable in variables):
            raise _diverged(name, epochs_done)


def _value(variable) -> np.ndarray:
    return np.asarray(variable) if isinstance(variable, np.ndarray) else variable.numpy()


def _diverged(what: str, epochs_done: int) -> UserError:
    kept = f"The checkpoint of epoch {epochs_done} is kept" if epochs_done else "No epoch was finished"
    return UserError(
        f"Expected finite losses and variables. Received: {what} not finite in epoch {epochs_done + 1}. {kept}. A "
        "lower learning rate, a gradient clip or float32 may help: in another --model_dir, or here with --overwrite"
    )
