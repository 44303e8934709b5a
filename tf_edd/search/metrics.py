"""What a search measures after each epoch."""

import math

from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS
from tf_edd.relaxations import mean_entropy
from tf_edd.runtime.check_finite import check_losses

SHOWN = {
    "loss": "loss/weights",
    "valid": "accuracy/valid",
    "discretized": "accuracy/discretized",
    "entropy": "arch/entropy",
    "t": "arch/temperature",
}


def architecture_metrics(state) -> dict[str, float]:
    """Temperature, entropies in nats (paper, Eq. 13) and counts of the operations that a collapse prefers.

    Both over all cell types and for each of them.
    """
    metrics = {"arch/temperature": state.temperature, "arch/entropy": float(mean_entropy(state.probs))}
    for cell_type, probs in state.probs.items():
        metrics[f"arch/entropy_{cell_type}"] = float(mean_entropy([probs]))
    for operation in COLLAPSE_OPERATIONS:
        tag = f"arch/{operation.removesuffix('_connect')}_count"
        metrics[tag] = float(state.genotype.count(operation))
        # the cells of a chain are single edges, whose counts say no more than the genotype
        for cell_type in () if state.space.is_chain else state.probs:
            metrics[f"{tag}_{cell_type}"] = float(state.genotype.count(operation, cell_type))
    return metrics


def add_scalars(pending, state) -> None:
    """Adds the scalars of some steps to `state.sums` and empties the list; waits for the device."""
    for scalars in pending:
        values = {tag: float(value) for tag, value in scalars.items()}
        check_losses(values, state.epoch)
        for tag, value in values.items():
            # under float16 a gradient may overflow; the optimizer then leaves the step out and lowers the loss scale
            state.sums[tag] = state.sums.get(tag, 0.0) + (value if math.isfinite(value) else 0.0)
    pending.clear()
