"""The supernet: the network in which every edge carries all its candidates."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from tf_edd.networks.cell import SearchCell
from tf_edd.networks.mixed_op import EdgeFactory, MixedOp
from tf_edd.networks.roles import build_block
from tf_edd.networks.stateless import SharedTraces
from tf_edd.operations.batch_norm import replicas
from tf_edd.spaces.space import Space

# Supernets with fewer edges are traced fast enough edge by edge, which keeps the order in which gradients are added.
SHARED_FROM = 100


class Supernet(keras.Model):
    """`supernet(images, probs, training=...) -> logits`; it receives probabilities and never computes them.

    Batch norms of the cells have no learned scale and offset, those of stem, reductions and head do. By default all use
    the statistics of the batch, in evaluation too: moving averages gathered under the mixture do not fit a discrete
    cell, and a supernet is never exported.

    Args:
        space: the search space.
        num_classes: number of classes.
        running_statistics: whether to keep moving averages and evaluate with them, as the DrNAS code does.
        rematerialize: whether to run each edge again in the backward pass instead of keeping its activations: less
            memory for about a third more time, and the same gradients.
        make_edge: builds the layer of an edge.

    Call arguments:
        images: [B, H, W, channels] float, normalized.
        probs: cell type -> probabilities [E, O] float32.
        training: as in Keras.
        unused: which candidates to leave out, None for none. With `Unused()`, those of a probability of at most 2^-32,
            outputs and gradients are the same in float32, but for the gradient of such a probability, which is zero;
            `Unused(forward=True)` has it too. Several replicas run all candidates: TensorFlow cannot synchronize batch
            norms inside a condition.
        fixed_weights: whether nobody asks for the gradient of the weights, as in the architecture step. Functions that
            edges share would compute it all the same.
        single_path: whether every row of `probs` has a single 1 or is zero; those candidates alone are then run.
            Cheaper than `unused`, in memory too; nothing is rematerialized. Several replicas run all candidates.
        moment: when the pass is made, for what surrounds the candidates; None for a discretized cell, in which nothing
            does.
        path_gradient: with `single_path`, whether the probabilities get the gradient of `weighted_single`, on any
            number of replicas. Without it they get none on one replica.
    """

    def __init__(
        self,
        space: Space,
        num_classes: int,
        running_statistics: bool = False,
        rematerialize: bool = False,
        make_edge: EdgeFactory = MixedOp,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # Keras would cast the probabilities to the low precision
        self.space = space
        self.rematerialize, self.running_statistics = rematerialize, running_statistics
        self._norm = {"affine": True, "running_statistics": running_statistics}
        self._num_classes = num_classes
        self._traces = SharedTraces() if count_edges(space) >= SHARED_FROM else None
        self._single_traces = SharedTraces()
        self._make_edge = make_edge
        # Side branches are for the training of final networks only.
        self._wired = [
            (block, wire) for block, wire in zip(space.blocks, space.wires, strict=True) if not block.auxiliary
        ]
        self.blocks = [self._make(block, wire, f"{block.role}_{i}") for i, (block, wire) in enumerate(self._wired)]

    def _make(self, block, wire, name):
        if block.role != "cell":
            return build_block(block, self._num_classes, self._norm, name)
        norm = {**self._norm, "affine": False}
        spec = self.space.cell(block.cell)
        return SearchCell(
            spec,
            block.channels,
            norm,
            wire.reduction_prev,
            traces=self._traces,
            rematerialize=self.rematerialize,
            single_traces=self._single_traces,
            make_edge=self._make_edge,
            name=name,
        )

    def build(self, input_shape):
        """Builds every layer from the shape of a batch of images [B, H, W, channels], without running one."""
        shapes = {-1: tuple(input_shape)}
        for index, block, wire, layer in self._walk():
            sources = [shapes[source] for source in wire.sources]
            sources = sources if block.role == "cell" else sources[0]
            layer.build(sources)
            layer.built = True
            shapes[index] = layer.compute_output_shape(sources)
        self.built = True

    def call(
        self,
        images,
        probs,
        training=False,
        unused=None,
        fixed_weights=False,
        single_path=False,
        moment=None,
        path_gradient=False,
    ):
        """Logits [B, num_classes] float32."""
        tables, rows = _tables(self.space, probs), {}
        if single_path and path_gradient:  # the rows have the gradient, and the scalars that select have none
            rows = {cell_type: tf.unstack(table) for cell_type, table in tables.items()}
            tables = {cell_type: tf.stop_gradient(table) for cell_type, table in tables.items()}
        weights = {cell_type: _scalars(table) for cell_type, table in tables.items()}
        unused, single_path = (unused, single_path) if replicas() == 1 else (None, False)
        outputs = {-1: tf.cast(images, self.compute_dtype)}
        for index, block, wire, layer in self._walk():
            inputs = [outputs[source] for source in wire.sources]
            if block.role != "cell":
                outputs[index] = layer.call(inputs[0], training=training)
            else:
                options = {"unused": unused, "fixed_weights": fixed_weights, "single_path": single_path}
                options["moment"] = None if moment is None else moment.within(index)
                options["path_rows"] = rows.get(block.cell)
                outputs[index] = layer.call(inputs, weights[block.cell], training, **options)
        return outputs[index]

    def candidates(self):
        """(cell type, edge, position on the edge, operation) of every candidate of every cell."""
        for _, block, _, layer in self._walk():
            if block.role == "cell":
                for edge, mixed_op in enumerate(layer.mixed_ops):
                    for position, operation in enumerate(mixed_op.candidates):
                        yield block.cell, edge, position, operation

    def _walk(self):
        """Index in the macro skeleton, block, wire and layer of each block that is not a side branch."""
        indices = [i for i, block in enumerate(self.space.blocks) if not block.auxiliary]
        for index, (block, wire), layer in zip(indices, self._wired, self.blocks, strict=True):
            yield index, block, wire, layer


def count_edges(space: Space) -> int:
    """Number of compound edges of all cells of the macro skeleton."""
    return sum(len(space.cell(block.cell).edges) for block in space.blocks if block.role == "cell")


def _tables(space: Space, probs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Cell type -> probabilities [E, O] in float32."""
    return {
        cell_type: tf.ensure_shape(tf.cast(probs[cell_type], tf.float32), shape)
        for cell_type, shape in space.logit_shapes.items()
    }


def _scalars(table):
    """Per edge the probabilities of its candidates as scalars, unstacked once for all cells of a type."""
    return [tf.unstack(row) for row in tf.unstack(table)]
