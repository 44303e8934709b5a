"""What a search composes, described before anything runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tf_edd.analysis import counting

if TYPE_CHECKING:
    from tf_edd.search.plan import SearchPlan

PARTS = ("relaxation", "edge_weights", "temperature", "decisions", "discretizer", "selector")


def describe_search(plan: "SearchPlan", more: Mapping[str, str]) -> str:
    """The composition of a search as lines of text: parts, sizes, memory and steps.

    Args:
        plan: The search.
        more: Lines that replace those of the same name, or follow.
    """
    space, images, method, batches, splits = plan.space, plan.images, plan.method, plan.batches, plan.splits
    learns = method.step.learns_logits
    replicas, batch_size = batches.strategy.num_replicas_in_sync, batches.batch_size
    counts = counting.count_supernet(space, images.image_shape, images.num_classes, edges=method.edges)
    size = tf.as_dtype(keras.config.dtype_policy().compute_dtype).size
    memory = counting.activation_memory(space, images.image_shape, batch_size // replicas, size, method.edges)
    parts = {name: getattr(method, name) for name in PARTS if name not in ("relaxation", "temperature") or learns}
    rows = {
        "space": f"{space.name}, {space.num_architectures:,} architectures, {len(space.blocks)} blocks",
        "data": f"{images.name}, images {images.image_shape}, {images.num_classes} classes",
        **images.facts(),
        "splits": f"{splits['train']:,} for the weights, {splits['valid'] or splits['train']:,} "
        f"for {'the logits' if learns else 'evaluation'}",
        "step": str(method.step),
        **{name: str(part) for name, part in parts.items() if part is not None},
        **({"regularizers": ", ".join(map(str, method.regularizers))} if method.regularizers else {}),
        **({"edges": ", ".join(map(str, method.edges))} if method.edges else {}),
        "supernet": f"{counts.parameters:,} parameters",
        "activations": f"about {_bytes(memory)} per replica ({'estimate' if learns else 'all candidates'})",
        "devices": f"{replicas} of {[device.name for device in tf.config.list_logical_devices()]}",
        "steps": f"{_counted(plan.epochs, 'epoch')} x {_counted(batches.steps, 'step')} of "
        f"{' + '.join([str(batch_size)] * len(batches.splits))} images{_passes(plan)}",
        "time": "not measured: the log tells the time left after each epoch",
    }
    if method.warmup_epochs:
        rows["warmup"] = f"the weights alone in the first {_counted(plan.clock.warmup_steps, 'step')}"
    if method.ticks is not None:
        rows["ticks"] = f"the temperature follows the entropy {_counted(method.ticks, 'time')}"
    if warning := plan.too_few_steps():
        rows["warning"] = warning
    rows |= more
    width = max(map(len, rows))
    indented = {name: text.replace("\n", "\n" + " " * (width + 2)) for name, text in rows.items()}
    return "\n".join(f"{name:<{width}}  {text}" for name, text in indented.items())


def _passes(plan: "SearchPlan") -> str:
    """How often the images are run through, where the epochs do not tell."""
    if plan.batches.steps_per_epoch is None:
        return ""
    images = plan.epochs * plan.batches.steps * plan.batches.batch_size
    passes = [f"{images / part.size:.3g}" for part in plan.batches.splits.values()]
    return f" ({' and '.join(dict.fromkeys(passes))} passes over each split)"


def _bytes(count: float) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
