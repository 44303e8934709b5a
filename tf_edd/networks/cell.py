"""A cell of the supernet: nodes, compound edges, mixed operations."""

import keras
import tensorflow as tf

from tf_edd.networks.mixed_op import MixedOp
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.stateless import SharedTraces, run_edge
from tf_edd.operations import PREPARATIONS
from tf_edd.operations.conv import strided_shape
from tf_edd.spaces.space import CellSpec


class SearchCell(keras.layers.Layer):
    """A cell in which every edge is a `MixedOp`; a node is the sum of its incoming edges.

    The last node of a residual cell has the last input as one term more.

    Inside the supernet `call` is called directly: Keras' `__call__` would look at every argument of thousands of calls
    (a third of the time of tracing) and, in mixed precision, cast the probabilities to the low one.

    Args:
        spec: the description of the cell.
        channels: channels of each node.
        norm: arguments of the batch norms.
        halves_first: whether the first input has a larger map than the others.
        traces: where edges of one shape find the function that they share; None traces every edge by itself.
        rematerialize: in training, run each edge again in the backward pass instead of keeping what is inside it.
        chosen: the same as `traces` for edges that run one candidate; None makes one for this cell.

    Call arguments:
        inputs: list of the cell's `spec.num_inputs` inputs.
        weights: the probability of each edge's candidates, `weights[e][o]`, scalars.
        training: as in Keras.
        skip_unused: do not run candidates of negligible probability.
        fixed_weights: leave out the gradient of the weights where it would not be left out by itself.
        one_hot: at most one candidate of an edge has a probability, of 1: run it alone.
    """

    def __init__(
        self,
        spec: CellSpec,
        channels,
        norm,
        halves_first=False,
        traces=None,
        rematerialize=False,
        chosen=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.spec = spec
        self.traces = traces
        self.chosen = chosen or SharedTraces()
        self.rematerialize = rematerialize
        policy = {"dtype": self.dtype_policy}
        self.preprocess = (
            Preprocess(channels, spec.num_inputs, halves_first, norm, name="preprocess", **policy)
            if spec.preprocess
            else None
        )
        self.mixed_ops = [
            MixedOp(
                edge.primitives,
                channels,
                edge.stride,
                norm,
                spec.pool_norm,
                name=f"edge{edge.source}_{edge.target}",
                **policy,
            )
            for edge in spec.edges
        ]

    def build(self, input_shapes):
        """Builds the mixed operations; takes the shapes of the cell's inputs."""
        shapes = [tuple(shape) for shape in input_shapes]
        if self.preprocess is not None:
            self.preprocess.build(shapes)
            shapes = self.preprocess.compute_output_shape(shapes)
        for node in self.spec.intermediate_nodes:
            edges = self.spec.incoming(node)
            for e in edges:
                self.mixed_ops[e].build(shapes[self.spec.edges[e].source])
            first = self.mixed_ops[edges[0]]
            shapes.append(strided_shape(shapes[self.spec.edges[edges[0]].source], first.edge.stride, first.channels))
        self._nodes = shapes[self.spec.num_inputs :]

    def call(self, inputs, weights, training=False, skip_unused=False, fixed_weights=False, one_hot=False):
        """The output of the cell."""
        nodes = list(inputs) if self.preprocess is None else self.preprocess.call(inputs, training)
        terms = {node: [] for node in self.spec.intermediate_nodes}
        if self.spec.residual:
            terms[self.spec.num_nodes - 1].append(nodes[-1])
        bind = run_edge if self.traces is None else self.traces.bind
        rematerialize = self.rematerialize and training

        def run(e, features):
            return bind(self.mixed_ops[e], rematerialize, fixed_weights)(features, weights[e], training, skip_unused)

        def run_chosen(e, value):
            return self.chosen.bind_chosen(self.mixed_ops[e])(value, weights[e], training)

        for node in range(self.spec.num_nodes):
            if node >= self.spec.num_inputs:
                nodes.append(tf.add_n(terms[node]))
            if one_hot:
                for e in self.spec.outgoing(node):
                    terms[self.spec.edges[e].target].append(run_chosen(e, nodes[node]))
            elif self.spec.outgoing(node):
                self._leave(node, nodes[node], terms, run)
        if self.spec.output == "last":
            return nodes[-1]
        return tf.concat(nodes[self.spec.num_inputs :], axis=-1)

    def compute_output_shape(self, input_shapes, *_, **__):
        """The shape of the last node, or of all intermediate ones side by side; the cell must be built."""
        batch, height, width, channels = self._nodes[-1]
        copies = len(self._nodes) if self.spec.output == "concat" else 1
        return (batch, height, width, channels * copies)

    def _leave(self, node, value, terms, run):
        """Runs all edges that leave `node` and files their terms under the nodes they enter."""
        outgoing = self.spec.outgoing(node)
        wanted = sorted(set().union(*(self.mixed_ops[e].preparations for e in outgoing)))
        features = {name: PREPARATIONS[name](value) for name in wanted}
        for e in outgoing:
            read = {name: features[name] for name in sorted(self.mixed_ops[e].preparations)}
            terms[self.spec.edges[e].target] += run(e, read)
