"""The final network of a genotype: a functional Keras model, wired like the supernet."""

import keras
import tensorflow as tf

from tf_edd.architectures.connected import live_nodes
from tf_edd.architectures.genotype import Genotype
from tf_edd.networks.check_images import check_auxiliary
from tf_edd.networks.drop_path import DropPath
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.roles import build_block
from tf_edd.operations import find
from tf_edd.operations.conv import strided_shape
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.operations.simple import Identity
from tf_edd.spaces.space import CellSpec, Space

NORM = {"affine": True, "running_statistics": True}


@keras.saving.register_keras_serializable(package="tf_edd")
class FinalCell(keras.layers.Layer):
    """A discrete cell: a node is the sum of its incoming edges, each with one operation.

    Edges with `none` are left out; a node without inputs is zeros. In a residual cell the last input is added to the
    last node.

    Args:
        nodes: for each intermediate node its incoming edges as (operation, source, stride).
        channels: channels of each node.
        num_inputs: number of inputs of the cell.
        output: "last" (the last node) or "concat" (all intermediate nodes along the channels).
        norm: arguments of the batch norms.
        preprocess: None, or for a cell with preprocessed inputs {"reduction_prev": ...}, see `Preprocess`.
        drop_path: None, or the number of this cell, which selects the masks of its drop path. See `set_drop_path`.
        residual: whether the last input is added to the last node; it is never dropped.
        optional_edges: whether nodes that nothing of the inputs reaches are left out of the output "concat", unless
            that is all of them.

    Call arguments:
        inputs: list of the cell's inputs, each [B, H, W, C].
        training: as in Keras.
    """

    def __init__(
        self,
        nodes,
        channels,
        num_inputs=1,
        output="last",
        norm=None,
        preprocess=None,
        drop_path=None,
        residual=False,
        optional_edges=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.optional_edges = optional_edges
        self.nodes = [[(str(op), int(source), int(stride)) for op, source, stride in edges] for edges in nodes]
        self.channels = channels
        self.num_inputs = num_inputs
        self.output_kind = output
        self.residual = residual
        self.norm = dict(norm or NORM)
        policy = {"dtype": self.dtype_policy, **self.norm}
        # One flat list: most Keras before 3.15 silently leave layers in nested lists out of a saved model.
        self.edge_operations = [
            find(op).build(channels, stride, name=op, **policy) for edges in nodes for op, _, stride in edges
        ]
        self.preprocess = preprocess and Preprocess(
            channels, num_inputs, **preprocess, norm=self.norm, dtype=self.dtype_policy, name="preprocess"
        )
        self.drop_path = None if drop_path is None else DropPath(drop_path, name="drop_path")

    @property
    def operations(self):
        """The operations of the incoming edges, for each intermediate node."""
        remaining = iter(self.edge_operations)
        return [[next(remaining) for _ in edges] for edges in self.nodes]

    def build(self, input_shapes):
        """Builds the operations; takes the shapes of the cell's inputs."""
        if self.preprocess:
            self.preprocess.build(input_shapes)
        shapes = self._shapes(input_shapes)
        for edges, operations in zip(self.nodes, self.operations, strict=True):
            for (_, source, _), operation in zip(edges, operations, strict=True):
                operation.build(shapes[source])
        if self.drop_path is not None:
            self.drop_path.build(None)

    def call(self, inputs, training=False):
        values = self.preprocess.call(inputs, training) if self.preprocess else list(inputs)
        prepared = {}
        masks = self._masks(values[0]) if training and self.drop_path is not None else None
        for node, (edges, operations) in enumerate(zip(self.nodes, self.operations, strict=True), start=1):
            start = [values[self.num_inputs - 1]] if self.residual and node == len(self.nodes) else []
            values.append(self._node(edges, operations, values, prepared, training, masks, start))
        if self.output_kind == "last":
            return values[-1]
        return tf.concat([values[node] for node in self._side_by_side()], axis=-1)

    def compute_output_shape(self, input_shapes, **_):
        """The shape of the last node, or of the intermediate nodes side by side."""
        shapes = self._shapes(input_shapes)
        copies = len(self._side_by_side()) if self.output_kind == "concat" else 1
        return (*shapes[-1][:-1], self.channels * copies)

    def get_config(self):
        return {
            **super().get_config(),
            "nodes": [[list(edge) for edge in edges] for edges in self.nodes],
            "channels": self.channels,
            "num_inputs": self.num_inputs,
            "output": self.output_kind,
            "norm": dict(self.norm),
            "preprocess": {"reduction_prev": self.preprocess.reduction_prev} if self.preprocess else None,
            "drop_path": None if self.drop_path is None else self.drop_path.index,
            "residual": self.residual,
            "optional_edges": self.optional_edges,
        }

    def _side_by_side(self) -> list[int]:
        """The nodes of a concatenated output."""
        live = live_nodes(self.nodes, self.num_inputs) if self.optional_edges else []
        return live or list(range(self.num_inputs, self.num_inputs + len(self.nodes)))

    def _masks(self, x):
        """One mask per edge, in their order; an edge keeps its mask whatever the others are."""
        return iter(tf.unstack(self.drop_path.masks(sum(map(len, self.nodes)), x)))

    def _node(self, edges, operations, values, prepared, training, masks, start):
        terms = list(start)
        for (name, source, _), operation in zip(edges, operations, strict=True):
            mask = None if masks is None else next(masks)
            if name != "none":
                term = operation(self._prepare(operation, source, values, prepared), training=training)
                terms.append(term if mask is None or isinstance(operation, Identity) else term * mask)
        if terms:
            return tf.add_n(terms)
        _, source, stride = edges[0]
        shape = strided_shape(tf.unstack(tf.shape(values[source])), stride, self.channels)
        static = strided_shape(values[source].shape, stride, self.channels)
        return tf.ensure_shape(tf.zeros(tf.stack(shape), values[source].dtype), static)

    def _prepare(self, operation, source, values, prepared):
        """What the operation reads of its source, computed once for all edges that leave the source."""
        key = (source, operation.preparation)
        if key not in prepared:
            prepared[key] = PREPARATIONS[operation.preparation](values[source])
        return prepared[key]

    def _shapes(self, input_shapes):
        shapes = [tuple(shape) for shape in input_shapes]
        if self.preprocess:
            shapes = self.preprocess.compute_output_shape(shapes)
        for edges in self.nodes:
            _, source, stride = edges[0]
            shapes.append(strided_shape(shapes[source], stride, self.channels))
        return shapes


def build_final_network(
    space: Space,
    genotype: Genotype,
    image_shape: tuple[int, int, int],
    num_classes: int,
    drop_path: bool = False,
    auxiliary: bool = False,
) -> keras.Model:
    """The network of a genotype: normalized images [B, H, W, C] to logits [B, classes] float32.

    Batch norms learn scale and offset and keep moving averages. The model saves as `.keras` and loads again after
    `import tf_edd.networks.final_network`.

    Args:
        space: gives the macro skeleton.
        genotype: a genotype of that space.
        image_shape: (H, W, C).
        num_classes: number of classes.
        drop_path: whether the cells can drop paths, see `set_drop_path`.
        auxiliary: whether the outputs are [logits, logits of the auxiliary head]; `inference_model` leaves it out.

    Raises:
        UserError: A genotype that does not fit the space; an auxiliary head in a space without one, or for images of
            another size than it is made for.
    """
    genotype.check(space)
    if auxiliary:
        check_auxiliary(space, image_shape)
    images = keras.Input(image_shape, name="images")
    outputs, branches = {-1: images}, []
    for index, (block, wire) in enumerate(zip(space.blocks, space.wires, strict=True)):
        inputs = [outputs[source] for source in wire.sources]
        name = f"{block.role}_{index}"
        if block.auxiliary:
            if auxiliary:
                branches.append(build_block(block, num_classes, NORM, name)(inputs[0]))
        elif block.role == "cell":
            cell = _make_cell(space, genotype, block, wire, index if drop_path else None, name)
            outputs[index] = last = cell(inputs)
        else:
            outputs[index] = last = build_block(block, num_classes, NORM, name)(inputs[0])
    return keras.Model(images, [last, *branches] if branches else last, name="final_network")


def inference_model(model: keras.Model) -> keras.Model:
    """The network without auxiliary head, with the same layers and weights."""
    return keras.Model(model.input, model.outputs[0], name=model.name) if len(model.outputs) > 1 else model


def set_drop_path(model: keras.Model, rate, seed) -> None:
    """Sets how much the cells of a network with drop path drop in training from now on.

    Args:
        model: a network built with `drop_path=True`; others are left unchanged.
        rate: probability that a path is dropped, in [0, 1); a number or a scalar tensor.
        seed: int32 [2], e.g. of `runtime.seeds.step_seed`; a different one for every step.
    """
    for layer in model.layers:
        if isinstance(layer, FinalCell) and layer.drop_path is not None:
            layer.drop_path.set(rate, seed)


def _make_cell(space, genotype, block, wire, drop_path, name) -> FinalCell:
    spec = space.cell(block.cell)
    preprocess = {"reduction_prev": wire.reduction_prev} if spec.preprocess else None
    nodes = _edges(spec, genotype.nodes(block.cell))
    wiring = {"num_inputs": spec.num_inputs, "output": spec.output, "residual": spec.residual}
    wiring["optional_edges"] = spec.optional_edges
    return FinalCell(nodes, block.channels, norm=NORM, preprocess=preprocess, drop_path=drop_path, name=name, **wiring)


def _edges(spec: CellSpec, nodes) -> list[list[tuple[str, int, int]]]:
    """Incoming edges of each node with the strides of the space."""
    strides = {(edge.source, edge.target): edge.stride for edge in spec.edges}
    return [
        [(operation, source, strides[source, target]) for operation, source in edges]
        for target, edges in zip(spec.intermediate_nodes, nodes, strict=True)
    ]
