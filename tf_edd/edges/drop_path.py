"""Drop path in the supernet: the output of an edge is left out at random, separately for each image."""

import functools
from typing import ClassVar

import keras
import tensorflow as tf

from tf_edd.errors import require_share
from tf_edd.networks.edge_part import inner_config
from tf_edd.networks.mixed_op import EdgeFactory
from tf_edd.operations.batch_norm import replicas
from tf_edd.part import part

SIGNAL = "drop_path"


@part(module="tf_edd.edges")
class EdgeDropPath:
    """Training drops the output of an edge for each image by itself, ever more often.

        f_e(x_i) <- m_ei f_e(x_i) / (1 - q),    m_ei ~ Bernoulli(1 - q),    q = probability * p

    p is the progress, which rises from 0 to 1 with the steps of the search; the released code raises q from epoch to
    epoch, to `probability` in the last. Steps of the weights and of the logits both draw, as there; evaluation and
    teachers do not. The masks are functions of the seed, the step, the phase, the cell and the edge: all passes of one
    phase of a step draw the same. Each replica takes its part of the masks of the whole batch.

    The released code also applies cutout with a probability that rises in the same way, and only then: augmentation
    here knows no progress.

    Attributes:
        probability: q at the end of the search: 0.2, 0.4 or 0.6 in the released scripts.

    Raises:
        UserError: A probability that is not in [0, 1).

    Source: Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR 2020,
    arXiv 1909.09656; released code, `src/search/model_search.py`, `src/utils.py`.
    """

    probability: float = 0.2

    needs_simplex: ClassVar[bool] = False

    def __post_init__(self):
        require_share(below_one=True, probability=self.probability)
        object.__setattr__(self, "probability", float(self.probability))

    def check(self, space) -> None:
        """Accepts every space."""

    def wrap(self, make_edge: EdgeFactory) -> EdgeFactory:
        return functools.partial(DropPathEdge, make_edge, self)

    def operations(self, operations):
        return list(operations)

    def rate(self, progress) -> tf.Tensor:
        """q, a scalar float32."""
        return self.probability * tf.cast(progress, tf.float32)

    def metrics(self, progress: float) -> dict[str, float]:
        return {f"arch/{SIGNAL}": float(self.rate(progress))}


class DropPathEdge(keras.layers.Layer):
    """The edge of `EdgeDropPath`, around another one.

    Args:
        make_edge: builds the edge inside.
        part: gives the rate.
        primitives: as for `MixedOp`, like the other arguments.
    """

    def __init__(self, make_edge, part, primitives, channels, stride, norm, pool_norm, *, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self._part = part
        self.inner = make_edge(primitives, channels, stride, norm, pool_norm, name="candidates", dtype=dtype)

    @property
    def candidates(self):
        """Those of the edge inside."""
        return self.inner.candidates

    @property
    def preparations(self) -> set[str]:
        """Those of the edge inside."""
        return self.inner.preparations

    def build(self, input_shape):
        """Builds the edge inside."""
        self.inner.build(input_shape)

    def signals(self, moment, value):
        inner = self.inner.signals(moment, value)
        if moment is None or moment.seed is None:
            return inner
        return {**inner, SIGNAL: _masks(self._part.rate(moment.progress), moment.seed, value)}

    def call(self, features, weights, training=False, unused=None):
        """The terms of the edge inside, each with the mask of this edge where the pass draws one."""
        inner = {name: value for name, value in features.items() if name != SIGNAL}
        terms = self.inner.call(inner, weights, training, unused)
        if SIGNAL not in features:
            return terms
        mask = tf.stop_gradient(features[SIGNAL])  # functions that edges share would compute its gradient
        return [term * mask for term in terms]

    def join(self, terms, others=()):
        return self.inner.join(terms, others)

    def call_single(self, value, weights, training=False, fixed_weights=False):
        """That of the edge inside: a discretized cell drops nothing."""
        return self.inner.call_single(value, weights, training, fixed_weights)

    def compute_output_shape(self, input_shape, *_, **__):
        """That of the edge inside."""
        return self.inner.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "inner": inner_config(self.inner)}


def _masks(rate, seed, value):
    """Bernoulli(1 - rate) / (1 - rate) for each image of this replica, [b, 1, 1, 1] in the precision of `value`."""
    count, number = tf.shape(value)[0], replicas()
    drawn = tf.random.stateless_uniform([number * count, 1, 1, 1], seed)
    if number > 1:  # of the whole batch, so that replicas of half the size draw what one device draws
        place = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
        drawn = drawn[place * count : (place + 1) * count]
    return tf.cast(tf.cast(drawn < 1 - rate, tf.float32) / (1 - rate), value.dtype)
