"""A cell of the supernet: nodes, compound edges, mixed operations."""

import keras
import tensorflow as tf

from tf_edd.networks.mixed_op import EdgeFactory, MixedOp
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.single_path import weighted_single
from tf_edd.networks.stateless import SharedTraces, run_edge
from tf_edd.operations.preparations import prepare
from tf_edd.spaces.space import CellSpec


class SearchCell(keras.layers.Layer):
    """A cell in which every edge carries all its candidates; a node is the sum of its incoming edges.

    In a residual cell the last input is added to the last node.

    Inside the supernet `call` is called directly: Keras' `__call__` would inspect every argument of thousands of calls
    (a third of the tracing time) and, in mixed precision, cast the probabilities to the low precision.

    Args:
        spec: the description of the cell.
        channels: channels of each node.
        norm: arguments of the batch norms.
        reduction_prev: whether the first input has larger maps than the others.
        traces: where edges of one shape find the function that they share; None traces every edge by itself.
        rematerialize: whether training runs each edge again in the backward pass instead of keeping its activations.
        single_traces: the same as `traces` for edges that run one candidate; None makes one for this cell.
        make_edge: builds the layer of an edge.

    Call arguments:
        inputs: list of the cell's `spec.num_inputs` inputs.
        weights: the probability of each edge's candidates, `weights[e][o]`, scalars.
        training: as in Keras.
        unused: which candidates to leave out, see `MixedOp`.
        fixed_weights: whether to leave out the gradient of the weights where TensorFlow would compute it unused.
        single_path: whether every edge has at most one candidate with a probability, of 1, which is then run alone.
        moment: of the pass, for what surrounds the candidates; None for none of it.
        path_rows: per edge the probabilities [O] that get the gradient of `weighted_single`; None for none.
    """

    def __init__(
        self,
        spec: CellSpec,
        channels,
        norm,
        reduction_prev=False,
        traces=None,
        rematerialize=False,
        single_traces=None,
        make_edge: EdgeFactory = MixedOp,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.spec = spec
        self.traces = traces
        self.single_traces = single_traces or SharedTraces()
        self.rematerialize = rematerialize
        policy = {"dtype": self.dtype_policy}
        self.preprocess = (
            Preprocess(channels, spec.num_inputs, reduction_prev, norm, name="preprocess", **policy)
            if spec.preprocess
            else None
        )
        self.mixed_ops = [
            make_edge(
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
        """Builds the edges; takes the shapes of the cell's inputs."""
        shapes = [tuple(shape) for shape in input_shapes]
        if self.preprocess is not None:
            self.preprocess.build(shapes)
            shapes = self.preprocess.compute_output_shape(shapes)
        for node in self.spec.intermediate_nodes:
            edges = self.spec.incoming(node)
            for e in edges:
                self.mixed_ops[e].build(shapes[self.spec.edges[e].source])
            first = edges[0]
            shapes.append(self.mixed_ops[first].compute_output_shape(shapes[self.spec.edges[first].source]))
        self._nodes = shapes[self.spec.num_inputs :]

    def call(
        self,
        inputs,
        weights,
        training=False,
        unused=None,
        fixed_weights=False,
        single_path=False,
        moment=None,
        path_rows=None,
    ):
        nodes = list(inputs) if self.preprocess is None else self.preprocess.call(inputs, training)
        terms = {node: [] for node in self.spec.intermediate_nodes}  # of each edge, in the order of their sources
        residual = [nodes[-1]] if self.spec.residual else []
        bind = run_edge if self.traces is None else self.traces.bind
        rematerialize = self.rematerialize and training

        def run(e, features, value):
            signals = self.mixed_ops[e].signals(None if moment is None else moment.within(e), value)
            features = {**features, **signals}
            found = bind(self.mixed_ops[e], rematerialize, fixed_weights)(features, weights[e], training, unused)
            return found if path_rows is None else [weighted_single(tf.add_n(found), path_rows[e])]

        def joined(node):
            others = residual if node == self.spec.num_nodes - 1 else []
            if single_path:
                return tf.add_n([*others, *terms[node]])
            return self.mixed_ops[self.spec.incoming(node)[0]].join(terms[node], others)

        def run_single(e, value):
            found = self.single_traces.bind_single(self.mixed_ops[e], fixed_weights)(value, weights[e], training)
            return found if path_rows is None else weighted_single(found, path_rows[e])

        for node in range(self.spec.num_nodes):
            if node >= self.spec.num_inputs:
                nodes.append(joined(node))
            if single_path:
                for e in self.spec.outgoing(node):
                    terms[self.spec.edges[e].target].append(run_single(e, nodes[node]))
            elif self.spec.outgoing(node):
                self._run_outgoing(node, nodes[node], terms, run)
        if self.spec.output == "last":
            return nodes[-1]
        return tf.concat(nodes[self.spec.num_inputs :], axis=-1)

    def compute_output_shape(self, input_shapes, *_, **__):
        """The shape of the last node, or of all intermediate nodes side by side; the cell must be built."""
        batch, height, width, channels = self._nodes[-1]
        copies = len(self._nodes) if self.spec.output == "concat" else 1
        return (batch, height, width, channels * copies)

    def _run_outgoing(self, node, value, terms, run):
        """Runs all edges that leave `node` and adds the list of their terms to those of the nodes they enter."""
        outgoing = self.spec.outgoing(node)
        wanted = sorted(set().union(*(self.mixed_ops[e].preparations for e in outgoing)))
        features = prepare(wanted, value)
        for e in outgoing:
            read = {name: features[name] for name in sorted(self.mixed_ops[e].preparations)}
            terms[self.spec.edges[e].target].append(run(e, read, value))
