"""The mixed operation of a compound edge."""

import functools
import itertools
from collections.abc import Sequence
from typing import Protocol

import keras
import tensorflow as tf

from tf_edd.networks.moment import Moment
from tf_edd.networks.stateless import assign_state, call_stateless, state_of, values_of
from tf_edd.networks.unused import Unused, if_used
from tf_edd.operations import find
from tf_edd.operations.conv import strided_shape
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.operations.simple import Zero
from tf_edd.spaces.space import Edge


class SearchEdge(Protocol):
    """What a cell of the supernet asks of the layer of an edge, which is a Keras layer besides.

    Attributes:
        candidates: the operations, in the order of the probabilities.
        preparations: the names of what the edge reads of its source node, see `operations.preparations`.
    """

    candidates: list
    preparations: set[str]

    def build(self, input_shape) -> None:
        """Builds the layer; takes the shape of the source node."""

    def signals(self, moment: Moment | None, value) -> dict:
        """Tensors that `call` finds among its features, of the moment and not of the source node.

        They are made outside of functions that edges share, so random numbers differ from edge to edge.

        Args:
            moment: of the pass, with random numbers of this edge; None outside of training and validation.
            value: the source node.
        """
        return {}

    def call(self, features, weights, training=False, unused: Unused | None = None) -> list:
        """The terms that the edge adds to its target node, see `MixedOp`."""

    def join(self, terms: Sequence[list], others: Sequence = ()):
        """The value of the target node.

        Args:
            terms: what `call` has returned for each edge of the node, edges like this one.
            others: what else the node adds up.
        """

    def call_single(self, value, weights, training=False, fixed_weights=False):
        """The one term of an edge that runs a single candidate, see `MixedOp`."""

    def compute_output_shape(self, input_shape):
        """The shape of each term."""

    def get_config(self) -> dict:
        """All that decides what `call` computes, but for the values of the variables: equal edges share a trace."""


class EdgeFactory(Protocol):
    """What builds the layer of an edge: `MixedOp`, or what supplies more than its candidates."""

    def __call__(self, primitives, channels, stride, norm, pool_norm, *, name, dtype) -> SearchEdge:
        """The layer of an edge; the arguments are those of `MixedOp`."""


@keras.saving.register_keras_serializable(package="tf_edd")
class MixedOp(keras.layers.Layer):
    """The candidates of a compound edge, each weighted by its probability: c(h) = <beta_c, O_c(h)> (paper, section 1).

    It returns the weighted terms, not their sum: the cell adds the terms of all edges of a node at once.

    Args:
        primitives: names of the candidates, in the order of the probabilities.
        channels: output channels.
        stride: spatial stride.
        norm: arguments of the candidates' batch norms.
        pool_norm: whether batch norm follows the poolings.

    Call arguments:
        features: preparation name -> prepared output of the source node (see `operations.preparations`).
        weights: per candidate its probability, a scalar.
        training: as in Keras.
        unused: which candidates to leave out; None runs all of them.

    Raises:
        UserError: An operation that is not in the table of primitives.
    """

    def __init__(self, primitives, channels, stride=1, norm=None, pool_norm=False, **kwargs):
        super().__init__(**kwargs)
        self.edge = Edge(0, 1, tuple(primitives), stride)
        self.channels = channels
        self.norm = dict(norm or {})
        self.pool_norm = pool_norm
        self.candidates = [self._candidate(name) for name in primitives]

    def _candidate(self, name):
        primitive = find(name)
        policy = {"dtype": self.dtype_policy, "name": name, **self.norm}
        if primitive.pooling:
            policy["pool_norm"] = self.pool_norm
        return primitive.build(self.channels, self.edge.stride, **policy)

    @property
    def preparations(self) -> set[str]:
        """Which preparations of the source node the candidates read."""
        return {op.preparation for op in self.candidates if not isinstance(op, Zero)}

    def build(self, input_shape):
        """Builds the candidates; `input_shape` is the shape of the source node."""
        for op in self.candidates:
            op.build(input_shape)
        self._sides = self.compute_output_shape(input_shape)[1:]

    def call(self, features, weights, training=False, unused=None):
        """The weighted terms, one per candidate, without `none`."""
        term = functools.partial(self._term, training=training)
        known = None not in self._sides  # zeros of unknown size cannot stand for an operation
        if unused is not None and features and known:
            zeros = self._zeros(next(iter(features.values())))
            term = functools.partial(self._term_if_used, training=training, zeros=zeros, unused=unused)
        return [
            term(op, features[op.preparation], weight)
            for op, weight in zip(self.candidates, weights, strict=True)
            if not isinstance(op, Zero)
        ]

    def signals(self, moment, value):
        return {}

    def join(self, terms, others=()):
        return tf.add_n([*others, *itertools.chain(*terms)])

    def call_single(self, value, weights, training=False, fixed_weights=False):
        """The output of the one candidate whose weight is 1, or zeros if all are 0; the others are not run.

        The weights select and get no gradient.

        Args:
            value: output of the source node; a candidate prepares it for itself.
            weights: per candidate a scalar, 1 for at most one of them and 0 for the others.
            training: as in Keras.
            fixed_weights: whether to leave out the gradient of the variables, where there are no moving averages.
        """
        batch = value.shape[0]
        shape = (tf.shape(value)[0] if batch is None else batch, *self._sides)

        def branch(op):
            values = values_of(op) if fixed_weights and not state_of(op) else None  # read outside of the condition

            def run():
                return op.call(PREPARATIONS[op.preparation](value), None, training)

            def term():
                if values is None:
                    return run()
                # A condition computes the gradients of all it reads, asked for or not, so they are stopped inside it.
                return call_stateless(op, [tf.stop_gradient(each) for each in values], run)[0]

            return lambda: tf.ensure_shape(term(), value_shape)

        value_shape = (batch, *self._sides)
        branches = [lambda: tf.zeros(shape, value.dtype)]
        branches += [branches[0] if isinstance(op, Zero) else branch(op) for op in self.candidates]
        table = tf.stack([tf.zeros_like(weights[0]), *weights])
        return tf.switch_case(tf.argmax(table, output_type=tf.int32), branches)

    def _term(self, op, x, weight, training):
        return op.call(x, weight, training)  # not through Keras, see `SearchCell`

    def _term_if_used(self, op, x, weight, training, zeros, unused):
        # A condition computes the gradients of all it reads, asked for or not, so the others are stopped inside it.
        def run(x, weight):
            if not unused.forward:
                return self._term(op, x, tf.stop_gradient(weight), training)
            fixed = [tf.stop_gradient(value) for value in values]  # read outside of the condition
            term, state = call_stateless(op, fixed, lambda: self._term(op, x, weight, training))
            assign_state(op, state)
            return term

        values = values_of(op) if unused.forward else []
        return if_used(run, x, weight, zeros, unused)

    def _zeros(self, x):
        """A term of zeros, in the precision and for the batch of x."""
        batch = x.shape[0]
        shape = (tf.shape(x)[0] if batch is None else batch, *self._sides)
        return tf.ensure_shape(tf.zeros(shape, x.dtype), (batch, *self._sides))

    def compute_output_shape(self, input_shape, *_, **__):
        """The shape of each term."""
        return strided_shape(input_shape, self.edge.stride, self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "primitives": list(self.edge.primitives),
            "channels": self.channels,
            "stride": self.edge.stride,
            "norm": self.norm,
            "pool_norm": self.pool_norm,
        }
