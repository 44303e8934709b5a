"""An auxiliary skip connection: a skip beside the candidates of an edge, whose weight decays to nothing."""

import functools
import math
from typing import ClassVar

import keras
import tensorflow as tf

from tf_edd.errors import require_one_of, require_positive
from tf_edd.networks.edge_part import check_widths, inner_config
from tf_edd.networks.mixed_op import EdgeFactory
from tf_edd.operations import find
from tf_edd.part import part

DECAYS = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + tf.cos(math.pi * progress)) / 2,
    "slow_cosine": lambda progress: tf.cos(math.pi / 2 * progress),
}
SIGNAL = "auxiliary_weight"
SKIP = "skip_connect"


@part(module="tf_edd.edges")
class AuxiliarySkip:
    """A skip connection beside the candidates, so that none of them has to do its work (DARTS-).

        f_e(x) = w(p) skip(x) + sum_o beta_eo o(x)
        linear w_0 (1 - p),    cosine w_0 (1 + cos(pi p)) / 2,    slow cosine w_0 cos(pi p / 2)

    p is the progress, which rises from 0 to 1 with the steps of the search; the released code counts epochs. The skip
    is the candidate `skip_connect`: the identity, or a factorized reduction on an edge of stride 2, which has weights
    of its own. It has no logit and is no part of the distribution. At the end its weight is 0; a discretized cell is
    evaluated without it, the supernet with the weight of the moment.

    Attributes:
        initial: w_0.
        decay: "linear", "cosine" or "slow_cosine".

    Raises:
        UserError: A weight that is not positive, an unknown decay, or (from `check`) edges that change the number of
            channels.

    Source: Chu et al., "DARTS-: Robustly Stepping out of Performance Collapse Without Indicators", ICLR 2021,
    arXiv 2009.01027; released code, `src/search/model_search.py`, `src/utils.py`.
    """

    initial: float = 1.0
    decay: str = "linear"

    needs_simplex: ClassVar[bool] = False

    def __post_init__(self):
        require_positive(initial=self.initial)
        require_one_of(tuple(DECAYS), decay=self.decay)
        object.__setattr__(self, "initial", float(self.initial))

    def check(self, space) -> None:
        check_widths("AuxiliarySkip", space)

    def wrap(self, make_edge: EdgeFactory) -> EdgeFactory:
        return functools.partial(AuxiliaryEdge, make_edge, self)

    def operations(self, operations):
        return [*operations, (SKIP, 1)]

    def weight(self, progress) -> tf.Tensor:
        """w(p), a scalar float32."""
        return self.initial * DECAYS[self.decay](tf.cast(progress, tf.float32))

    def metrics(self, progress: float) -> dict[str, float]:
        return {f"arch/{SIGNAL}": float(self.weight(progress))}


class AuxiliaryEdge(keras.layers.Layer):
    """The edge of `AuxiliarySkip`, around another one.

    Args:
        make_edge: builds the edge inside.
        part: gives the weight.
        primitives: as for `MixedOp`, like the other arguments.
    """

    def __init__(self, make_edge, part, primitives, channels, stride, norm, pool_norm, *, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self._part = part
        self.inner = make_edge(primitives, channels, stride, norm, pool_norm, name="candidates", dtype=dtype)
        self.skip = find(SKIP).build(channels, stride, dtype=self.dtype_policy, name="auxiliary", **(norm or {}))

    @property
    def candidates(self):
        """Those of the edge inside."""
        return self.inner.candidates

    @property
    def preparations(self) -> set[str]:
        """Those of the edge inside, and that of the skip connection."""
        return self.inner.preparations | {self.skip.preparation}

    def build(self, input_shape):
        """Builds the edge inside and the skip connection."""
        self.inner.build(input_shape)
        self.skip.build(input_shape)

    def signals(self, moment, value):
        weight = tf.zeros([]) if moment is None else self._part.weight(moment.progress)
        return {**self.inner.signals(moment, value), SIGNAL: weight}

    def call(self, features, weights, training=False, unused=None):
        """The terms of the edge inside, and the weighted skip connection."""
        hidden = {SIGNAL} | ({self.skip.preparation} - self.inner.preparations)
        inner = {name: value for name, value in features.items() if name not in hidden}
        # Nobody asks for the gradient of the weight, which functions that edges share would compute.
        weight = tf.stop_gradient(features[SIGNAL])
        skipped = self.skip.call(features[self.skip.preparation], weight, training)
        return [*self.inner.call(inner, weights, training, unused), skipped]

    def join(self, terms, others=()):
        return self.inner.join([edge[:-1] for edge in terms], [*others, *(edge[-1] for edge in terms)])

    def call_single(self, value, weights, training=False, fixed_weights=False):
        """That of the edge inside: a discretized cell has no auxiliary skip connection."""
        return self.inner.call_single(value, weights, training, fixed_weights)

    def compute_output_shape(self, input_shape, *_, **__):
        """That of the edge inside."""
        return self.inner.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "inner": inner_config(self.inner)}
