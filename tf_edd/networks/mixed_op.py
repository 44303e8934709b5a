"""The mixed operation of a compound edge."""

import keras
import tensorflow as tf

from tf_edd.operations import POOLING, PREPARATIONS, PRIMITIVES, Zero
from tf_edd.operations.conv import strided_shape
from tf_edd.spaces.space import Edge

NEGLIGIBLE = 2.0**-32  # 256 times less than the rounding of float32, and of the gradient's other terms


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
        features: preparation name -> prepared output of the source node (see `operations.base`).
        weights: per candidate its probability, a scalar.
        training: as in Keras.
        skip_unused: do not run candidates of probability below `NEGLIGIBLE`; it then gets no gradient.
    """

    def __init__(self, primitives, channels, stride=1, norm=None, pool_norm=False, **kwargs):
        super().__init__(**kwargs)
        self.edge = Edge(0, 1, tuple(primitives), stride)
        self.channels = channels
        self.norm = dict(norm or {})
        self.pool_norm = pool_norm
        policy = {"dtype": self.dtype_policy, **self.norm}
        self.candidates = [
            PRIMITIVES[name](channels, stride, **policy, **({"normalize": True} if self._normalised(name) else {}))
            for name in primitives
        ]

    def _normalised(self, name):
        return self.pool_norm and name in POOLING

    @property
    def preparations(self) -> set[str]:
        """Which preparations of the source node the candidates read."""
        return {op.preparation for op in self.candidates if not isinstance(op, Zero)}

    def build(self, input_shape):
        """Builds the candidates; `input_shape` is the shape of the source node."""
        for op in self.candidates:
            op.build(input_shape)
        self._sides = strided_shape(input_shape, self.edge.stride, self.channels)[1:]

    def call(self, features, weights, training=False, skip_unused=False):
        """The weighted terms, one a candidate, without `none`."""
        skip_unused = skip_unused and None not in self._sides  # zeros of unknown size cannot stand for an operation
        return [
            (self._term_if_used if skip_unused and op.weights else self._term)(
                op, features[op.preparation], weight, training
            )
            for op, weight in zip(self.candidates, weights, strict=True)
            if not isinstance(op, Zero)
        ]

    def call_chosen(self, value, weights, training=False):
        """The output of the one candidate whose weight is 1, or zeros if all are 0; the others are not run.

        Args:
            value: output of the source node; a candidate prepares it for itself.
            weights: per candidate a scalar, 1 for at most one of them and 0 for the others.
            training: as in Keras.
        """
        batch = value.shape[0]
        shape = (tf.shape(value)[0] if batch is None else batch, *self._sides)

        def branch(op):
            return lambda: tf.ensure_shape(op.call(PREPARATIONS[op.preparation](value), None, training), value_shape)

        value_shape = (batch, *self._sides)
        branches = [lambda: tf.zeros(shape, value.dtype)]
        branches += [branches[0] if isinstance(op, Zero) else branch(op) for op in self.candidates]
        table = tf.stack([tf.zeros_like(weights[0]), *weights])
        return tf.switch_case(tf.argmax(table, output_type=tf.int32), branches)

    def _term(self, op, x, weight, training):
        return op.call(x, weight, training)  # not through Keras, see `SearchCell`

    def _term_if_used(self, op, x, weight, training):
        """The term, or zeros without running the operation if its weight is negligible."""
        batch = x.shape[0]
        shape = (tf.shape(x)[0] if batch is None else batch, *self._sides)
        return tf.cond(
            weight > NEGLIGIBLE,
            lambda: self._term(op, x, weight, training),
            lambda: tf.ensure_shape(tf.zeros(shape, x.dtype), (batch, *self._sides)),
        )

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "primitives": list(self.edge.primitives),
            "channels": self.channels,
            "stride": self.edge.stride,
            "norm": self.norm,
            "pool_norm": self.pool_norm,
        }
