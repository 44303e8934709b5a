"""What a configuration composes, told before anything runs."""

import keras
import tensorflow as tf

from tf_edd.analysis import counting

PARTS = ("relaxation", "temperature", "discretizer")


def describe(space, images, parts, epochs: int, feed, frozen: int, halves: dict, step) -> str:
    """The resolved composition of a search: parts, sizes, memory and steps, as lines of text.

    Args:
        space: the search space.
        images: the data set.
        parts: `SearchParts`.
        epochs: length of the search.
        feed: the batches, `Feed`.
        frozen: epochs at the start without steps of the logits.
        halves: record of the split.
        step: builder of the step.
    """
    both = "arch" in feed.phases
    replicas, batch_size = feed.strategy.num_replicas_in_sync, feed.batch_size
    counts = counting.count_supernet(space, images.image_shape, images.num_classes)
    size = tf.as_dtype(keras.config.dtype_policy().compute_dtype).size
    memory = counting.activation_memory(space, images.image_shape, batch_size // replicas, size)
    rows = {
        "space": f"{space.name}, {space.num_architectures:,} architectures, {len(space.blocks)} blocks",
        "data": f"{images.name}, images {images.image_shape}, {images.num_classes} classes",
        "halves": f"{halves['train']:,} for the weights, {halves['valid'] or halves['train']:,} "
        f"for {'the logits' if both else 'evaluation'}",
        **({} if both else {"step": str(step)}),
        **{name: str(getattr(parts, name)) for name in PARTS if getattr(parts, name) is not None},
        "supernet": f"{counts.parameters:,} parameters",
        "activations": f"about {memory / 2**30:.2f} GiB a replica (estimate{'' if both else ', of all candidates'})",
        "devices": f"{replicas} of {[device.name for device in tf.config.list_logical_devices()]}",
        "steps": f"{epochs} epochs x {feed.steps} steps of {' + '.join([str(batch_size)] * len(feed.halves))} images",
        **({"frozen": f"the logits in the first {frozen} epochs"} if frozen else {}),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())
