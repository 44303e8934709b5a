"""What a search composes, described before anything runs."""

from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tf_edd.analysis import counting

if TYPE_CHECKING:
    from tf_edd.search.plan import SearchPlan

PARTS = ("relaxation", "temperature", "discretizer", "selector")


def describe_search(plan: "SearchPlan") -> str:
    """The composition of a search as lines of text: parts, sizes, memory and steps."""
    space, images, method, batches, splits = plan.space, plan.images, plan.method, plan.batches, plan.splits
    learns = method.step.learns_logits
    replicas, batch_size = batches.strategy.num_replicas_in_sync, batches.batch_size
    counts = counting.count_supernet(space, images.image_shape, images.num_classes)
    size = tf.as_dtype(keras.config.dtype_policy().compute_dtype).size
    memory = counting.activation_memory(space, images.image_shape, batch_size // replicas, size)
    parts = {name: getattr(method, name) for name in PARTS if name not in ("relaxation", "temperature") or learns}
    rows = {
        "space": f"{space.name}, {space.num_architectures:,} architectures, {len(space.blocks)} blocks",
        "data": f"{images.name}, images {images.image_shape}, {images.num_classes} classes",
        "splits": f"{splits['train']:,} for the weights, {splits['valid'] or splits['train']:,} "
        f"for {'the logits' if learns else 'evaluation'}",
        "step": str(method.step),
        **{name: str(part) for name, part in parts.items() if part is not None},
        **({"regularizers": ", ".join(map(str, method.regularizers))} if method.regularizers else {}),
        "supernet": f"{counts.parameters:,} parameters",
        "activations": f"about {memory / 2**30:.2f} GiB per replica ({'estimate' if learns else 'all candidates'})",
        "devices": f"{replicas} of {[device.name for device in tf.config.list_logical_devices()]}",
        "steps": f"{plan.epochs} epochs x {batches.steps} steps of "
        f"{' + '.join([str(batch_size)] * len(batches.splits))} images",
        **({"warmup": f"the weights alone in the first {method.warmup_epochs} epochs"} if method.warmup_epochs else {}),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())
