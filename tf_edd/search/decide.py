"""The decisions of a search after an epoch."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tf_edd.decisions import Decision, View
from tf_edd.errors import UserError
from tf_edd.part import shown

if TYPE_CHECKING:
    from tf_edd.search.plan import SearchRun


def decide(run: "SearchRun") -> dict[str, float]:
    """Asks the decisions of the method, and narrows the mask of the allowed candidates; returns metrics to log.

    A kill before the checkpoint of the epoch costs nothing: the epoch is repeated, and with it the same decision.

    Raises:
        UserError: What they return is no mask of the space, or opens what was closed.
    """
    state, decisions, logits = run.state, run.method.decisions, run.logits
    if decisions is None:
        return {}
    allowed = {name: mask > 0.5 for name, mask in _numpy(logits.allowed()).items()}
    probs = {name: run.method.relaxation.mean(table, state.temperature) for name, table in logits.numpy().items()}

    def evaluate(weights):
        return run.evaluate(weights, run.batches.valid, run.batches.batch_size, run.batches.strategy)

    history, memory = tuple(state.history), json.loads(json.dumps(state.decision_memory))
    moment = (state.space, state.seed, state.epoch + 1, state.epochs)
    decision = decisions(View(*moment, _numpy(probs), allowed, history, memory, evaluate))
    narrowed = _checked(decision, allowed)
    logits.allow(narrowed)
    state.decision_memory = dict(decision.memory)
    if decision.notes:
        state.decided.append({"epoch": state.epoch + 1, "decided": list(decision.notes)})
    return _metrics(narrowed, state.space)


def _numpy(tensors: Mapping) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _checked(decision: Decision, before: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The masks of a decision."""
    shapes = {name: mask.shape for name, mask in before.items()}
    if not isinstance(decision, Decision) or {n: np.shape(mask) for n, mask in decision.allowed.items()} != shapes:
        raise UserError(f"Method.decisions must give a Decision with masks of {shapes}. Received: {shown(decision)}")
    allowed = {name: np.asarray(decision.allowed[name], bool) for name in shapes}
    if opened := [name for name, mask in allowed.items() if (mask & ~before[name]).any()]:
        raise UserError(
            f"Method.decisions may only close candidates. Received: candidates of {', '.join(opened)} that were closed"
        )
    return allowed


def _metrics(allowed: Mapping[str, np.ndarray], space) -> dict[str, float]:
    """How many edges are decided and how many removed, of all cell types and of each."""
    left = {name: mask.sum(axis=1) for name, mask in allowed.items()}
    several = len(left) > 1 and not space.is_chain
    metrics = {}
    for what, count in (("decided", 1), ("removed", 0)):
        found = {name: float((counts == count).sum()) for name, counts in left.items()}
        metrics[f"arch/{what}_edges"] = sum(found.values())
        metrics |= {f"arch/{what}_edges_{name}": value for name, value in found.items() if several}
    return metrics
