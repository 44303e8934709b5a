"""The supernet: the network in which every edge carries all its candidates."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from tf_edd.networks.blocks import build_block
from tf_edd.networks.cell import SearchCell
from tf_edd.operations.batch_norm import replicas
from tf_edd.spaces.space import Space


class Supernet(keras.Model):
    """`supernet(images, probs, training=...) -> logits`; it receives probabilities and never computes them.

    Batch norms of the cells have no learnt scale and offset, those of stem, reductions and head do. By default all use
    the statistics of the batch, in evaluation too: moving averages gathered under the mixture do not fit a discrete
    cell, and a supernet is never what is exported.

    Args:
        space: the search space.
        num_classes: classes of the data.
        running_statistics: keep moving averages and evaluate with them, as the DrNAS code does.

    Call arguments:
        images: [B, H, W, channels] float, normalised.
        probs: cell kind -> probabilities [E, O] float32.
        training: as in Keras.
        skip_unused: do not run candidates whose probability is below 2^-32. Outputs and the gradients of the weights
            are the same in float32; the gradient of such a probability is missing, so not in the architecture step.
            Several replicas run all candidates: TensorFlow cannot synchronise batch norms inside a condition.
    """

    def __init__(self, space: Space, num_classes: int, running_statistics: bool = False, **kwargs):
        super().__init__(autocast=False, **kwargs)  # Keras would cast the probabilities to the low precision
        self.space = space
        norm = {"affine": True, "running_statistics": running_statistics}
        self.blocks = [
            build_block(block, num_classes, norm, {**norm, "affine": False}, self._make_cell, f"{block.role}_{i}")
            for i, block in enumerate(space.blocks)
        ]

    def _make_cell(self, block, norm, name):
        return SearchCell(self.space.cell(block.cell), block.channels, norm, name=name)

    def build(self, input_shape):
        """Builds every layer from the shape of a batch of images [B, H, W, channels], without running one."""
        shapes = [tuple(input_shape)]
        for block, layer in zip(self.space.blocks, self.blocks, strict=True):
            source = shapes[-self.space.cell(block.cell).num_inputs :] if block.role == "cell" else shapes[-1]
            layer.build(source)
            layer.built = True
            shapes.append(layer.compute_output_shape(source))
        self.built = True

    def call(self, images, probs, training=False, skip_unused=False):
        """Logits [B, num_classes] float32."""
        weights = _weights(self.space, probs)
        skip_unused = skip_unused and replicas() == 1
        outputs = []
        for block, layer in zip(self.space.blocks, self.blocks, strict=True):
            if block.role == "stem":
                outputs = [layer.call(tf.cast(images, self.compute_dtype), training=training)]
            elif block.role == "cell":
                inputs = outputs[-self.space.cell(block.cell).num_inputs :]
                outputs.append(layer.call(inputs, weights[block.cell], training, skip_unused))
            else:
                outputs.append(layer.call(outputs[-1], training=training))
        return outputs[-1]


def _weights(space: Space, probs: Mapping[str, tf.Tensor]):
    """Cell kind -> per edge the probabilities of its candidates as scalars, taken apart once for all cells."""
    weights = {}
    for kind, shape in space.logit_shapes.items():
        table = tf.ensure_shape(tf.cast(probs[kind], tf.float32), shape)
        weights[kind] = [tf.unstack(row) for row in tf.unstack(table)]
    return weights
