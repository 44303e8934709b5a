"""The final network of a genotype: a functional Keras model, wired as the supernet is."""

import keras
import tensorflow as tf

from tf_edd.genotype import Genotype
from tf_edd.networks.blocks import build_block
from tf_edd.operations import PREPARATIONS, PRIMITIVES
from tf_edd.operations.conv import strided_shape
from tf_edd.spaces.space import CellSpec, Space

NORM = {"affine": True, "running_statistics": True}


@keras.saving.register_keras_serializable(package="tf_edd")
class FinalCell(keras.layers.Layer):
    """A discrete cell: a node is the sum of its incoming edges, each with one operation.

    Edges with `none` are left out; a node that is left without inputs is zeros.

    Args:
        nodes: for each intermediate node its incoming edges as (operation, source, stride).
        channels: channels of each node.
        num_inputs: inputs of the cell.
        output: "last" (the last node) or "concat" (all intermediate nodes along the channels).
        norm: arguments of the batch norms.

    Call arguments:
        inputs: list of the cell's inputs, each [B, H, W, C].
        training: as in Keras.
    """

    def __init__(self, nodes, channels, num_inputs=1, output="last", norm=None, **kwargs):
        super().__init__(**kwargs)
        self.nodes = [[(str(op), int(source), int(stride)) for op, source, stride in edges] for edges in nodes]
        self.channels = channels
        self.num_inputs = num_inputs
        self.output_kind = output
        self.norm = dict(norm or NORM)
        policy = {"dtype": self.dtype_policy, **self.norm}
        self.operations = [[PRIMITIVES[op](channels, stride, **policy) for op, _, stride in edges] for edges in nodes]

    def build(self, input_shapes):
        """Builds the operations; takes the shapes of the cell's inputs."""
        shapes = self._shapes(input_shapes)
        for edges, operations in zip(self.nodes, self.operations, strict=True):
            for (_, source, _), operation in zip(edges, operations, strict=True):
                operation.build(shapes[source])

    def call(self, inputs, training=False):
        """The output of the cell."""
        values = list(inputs)
        prepared = {}
        for edges, operations in zip(self.nodes, self.operations, strict=True):
            values.append(self._node(edges, operations, values, prepared, training))
        if self.output_kind == "last":
            return values[-1]
        return tf.concat(values[self.num_inputs :], axis=-1)

    def compute_output_shape(self, input_shapes, **_):
        """The shape of the last node, or of all intermediate ones side by side."""
        shapes = self._shapes(input_shapes)[self.num_inputs :]
        copies = len(shapes) if self.output_kind == "concat" else 1
        return (*shapes[-1][:-1], self.channels * copies)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "nodes": [[list(edge) for edge in edges] for edges in self.nodes],
            "channels": self.channels,
            "num_inputs": self.num_inputs,
            "output": self.output_kind,
            "norm": dict(self.norm),
        }

    def _node(self, edges, operations, values, prepared, training):
        terms = []
        for (name, source, _), operation in zip(edges, operations, strict=True):
            if name != "none":
                terms.append(operation(self._prepare(operation, source, values, prepared), training=training))
        if terms:
            return tf.add_n(terms)
        _, source, stride = edges[0]
        shape = strided_shape(tf.unstack(tf.shape(values[source])), stride, self.channels)
        static = strided_shape(values[source].shape, stride, self.channels)
        return tf.ensure_shape(tf.zeros(tf.stack(shape), values[source].dtype), static)

    def _prepare(self, operation, source, values, prepared):
        """What the operation reads of its source, computed once for all edges that leave it."""
        key = (source, operation.preparation)
        if key not in prepared:
            prepared[key] = PREPARATIONS[operation.preparation](values[source])
        return prepared[key]

    def _shapes(self, input_shapes):
        shapes = [tuple(shape) for shape in input_shapes]
        for edges in self.nodes:
            _, source, stride = edges[0]
            shapes.append(strided_shape(shapes[source], stride, self.channels))
        return shapes


def build_final_network(
    space: Space, genotype: Genotype, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """The network of a genotype: normalised images [B, H, W, C] to logits [B, classes] float32.

    Batch norms learn scale and offset and keep moving averages. The model saves as `.keras` and loads again after
    `import tf_edd.networks.final_network`.

    Args:
        space: gives the macro skeleton.
        genotype: a cell of that space.
        image_shape: (H, W, C).
        num_classes: classes of the data.

    Raises:
        UserError: the genotype does not fit the space.
    """
    genotype.check(space)

    def make_cell(block, norm, name):
        spec = space.cell(block.cell)
        nodes = _edges(spec, genotype.nodes(block.cell))
        return FinalCell(nodes, block.channels, spec.num_inputs, spec.output, norm, name=name)

    images = keras.Input(image_shape, name="images")
    outputs = [images]
    for index, block in enumerate(space.blocks):
        layer = build_block(block, num_classes, NORM, NORM, make_cell, f"{block.role}_{index}")
        inputs = outputs[-space.cell(block.cell).num_inputs :] if block.role == "cell" else outputs[-1]
        # Nothing before the stem is an input of a cell.
        outputs = [*outputs, layer(inputs)] if block.role != "stem" else [layer(inputs)]
    return keras.Model(images, outputs[-1], name="final_network")


def _edges(spec: CellSpec, nodes) -> list[list[tuple[str, int, int]]]:
    """Incoming edges of each node with the strides of the space."""
    strides = {(edge.source, edge.target): edge.stride for edge in spec.edges}
    return [
        [(operation, source, strides[source, target]) for operation, source in edges]
        for target, edges in zip(spec.intermediate_nodes, nodes, strict=True)
    ]
