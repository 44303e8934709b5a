"""Partial channels: the candidates of an edge read one K-th of the channels, the rest bypasses them."""

import functools
from typing import ClassVar

import keras
import tensorflow as tf

from tf_edd.errors import require_count
from tf_edd.networks.edge_part import check_widths, inner_config
from tf_edd.networks.mixed_op import EdgeFactory
from tf_edd.operations.conv import strided_shape
from tf_edd.operations.preparations import of_channels, prepare
from tf_edd.operations.simple import scaled
from tf_edd.part import part


@part(module="tf_edd.edges")
class PartialChannels:
    """The first C/K of C channels pass the candidates, the others bypass them (PC-DARTS, Eq. 2).

        f_e(x) = shuffle_K [ sum_o beta_eo o(x_1..C/K),  b_e P(x_C/K+1..C) ],    b_e = sum_o beta_eo

    P is the identity, and a 2x2 max pooling of stride 2 on an edge of stride 2. b_e, the sum of the row, is 1 without
    edge weights, and the weight of the edge with them. The shuffle writes the channels, seen as K groups of C/K, group
    by group side by side: channel c of group k goes to place c K + k. It is linear and equal for all edges of a node,
    so the sums over the edges are joined and shuffled once a node.

    A final network has whole edges; its number of channels is that of the space.

    Attributes:
        groups: K: 4 on CIFAR-10, 2 on ImageNet.

    Raises:
        UserError: K below 2, or (from `check`) channels that are no multiple of K, or edges that change their number.

    Source: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020,
    arXiv 1907.05737; released code, `model_search.py`, `MixedOp` and `channel_shuffle`.
    """

    groups: int = 4

    needs_simplex: ClassVar[bool] = True

    def __post_init__(self):
        require_count(2, groups=self.groups)

    def check(self, space) -> None:
        check_widths("PartialChannels", space, self.groups)

    def wrap(self, make_edge: EdgeFactory) -> EdgeFactory:
        return functools.partial(PartialEdge, make_edge, self.groups)

    def operations(self, operations):
        return [(name, share * self.groups) for name, share in operations]

    def metrics(self, progress: float) -> dict[str, float]:
        return {}


class PartialEdge(keras.layers.Layer):
    """The edge of `PartialChannels`, around one of C/K channels.

    Args:
        make_edge: builds the edge inside.
        groups: K.
        primitives: as for `MixedOp`, like the other arguments.
    """

    def __init__(self, make_edge, groups, primitives, channels, stride, norm, pool_norm, *, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self.groups, self.channels, self.stride = groups, channels, stride
        self._width = channels // groups
        self.inner = make_edge(primitives, self._width, stride, norm, pool_norm, name="candidates", dtype=dtype)
        self._bypass = of_channels(self._width, channels, "identity" if stride == 1 else "max_pool_2x2")

    @property
    def candidates(self):
        """Those of the edge inside."""
        return self.inner.candidates

    @property
    def preparations(self) -> set[str]:
        """Those of the edge inside, of its channels, and the bypass."""
        return {self._of_first(name) for name in self.inner.preparations} | {self._bypass}

    def _of_first(self, name):
        return of_channels(0, self._width, name)

    def build(self, input_shape):
        """Builds the edge inside."""
        self.inner.build((*input_shape[:-1], self._width))

    def signals(self, moment, value):
        return self.inner.signals(moment, value)

    def call(self, features, weights, training=False, unused=None):
        """The terms of the edge inside, and the weighted bypass."""
        own = {name: features[self._of_first(name)] for name in sorted(self.inner.preparations)}
        signals = {name: value for name, value in features.items() if name not in self.preparations}
        bypass = scaled(features[self._bypass], tf.add_n(list(weights)))
        return [*self.inner.call({**own, **signals}, weights, training, unused), bypass]

    def join(self, terms, others=()):
        first = self.inner.join([edge[:-1] for edge in terms])
        value = self._joined(first, tf.add_n([edge[-1] for edge in terms]))
        return tf.add_n([*others, value]) if others else value

    def call_single(self, value, weights, training=False, fixed_weights=False):
        """The output of the one candidate, beside the bypass; zeros if all weights are 0."""
        first = self.inner.call_single(value[..., : self._width], weights, training, fixed_weights)
        bypass = prepare([self._bypass], value)[self._bypass]
        return self._joined(first, scaled(bypass, tf.add_n(list(weights))))

    def _joined(self, first, rest):
        return shuffled(tf.concat([first, rest], axis=-1), self.groups)

    def compute_output_shape(self, input_shape, *_, **__):
        """The shape of the target node."""
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        inner = inner_config(self.inner)
        return {**super().get_config(), "groups": self.groups, "channels": self.channels, "inner": inner}


def shuffled(x, groups: int):
    """x [B, H, W, C] with channel c of group k, place k C/K + c, at place c K + k."""
    *sides, channels = x.shape
    split = tf.reshape(x, [-1, *sides[1:], groups, channels // groups])
    return tf.reshape(tf.transpose(split, [0, 1, 2, 4, 3]), [-1, *sides[1:], channels])
