"""Preparations: what a node's value passes before candidate operations read it.

They depend on the source node and, where their names say so, on the stride, so a cell computes each of them once and
all operations that leave the node share it.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from tf_edd.operations.batch_norm import normalize


def relu_even(x):
    """ReLU of every other pixel."""
    return tf.nn.relu(x[:, ::2, ::2])


def average_pool(x, stride: int = 1):
    """3x3 average pooling with symmetric padding that is not counted."""
    if stride == 1:
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    # "SAME" would pad a strided pooling at the end only: pad explicitly, then divide by the share of real pixels.
    pooled = tf.nn.avg_pool2d(_padded(x, 0), 3, stride, "VALID")
    real = tf.nn.avg_pool2d(_padded(tf.ones_like(x[:1, :, :, :1]), 0), 3, stride, "VALID")
    return pooled / real


def max_pool(x, stride: int = 1):
    """3x3 max pooling with symmetric padding of -inf."""
    if stride == 1:
        return tf.nn.max_pool2d(x, 3, 1, "SAME")
    return tf.nn.max_pool2d(_padded(x, tf.as_dtype(x.dtype).min), 3, stride, "VALID")


def _padded(x, value):
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=tf.cast(value, x.dtype))


# The name that an operation gives as its `preparation` -> the function.
PREPARATIONS: dict[str, Callable] = {
    "identity": lambda x: x,
    "relu": tf.nn.relu,
    "relu_even": relu_even,
    "avg_pool_3x3": average_pool,
    "avg_pool_3x3_norm": lambda x: normalize(average_pool(x)),
    "avg_pool_3x3_stride_2": lambda x: average_pool(x, 2),
    "avg_pool_3x3_stride_2_norm": lambda x: normalize(average_pool(x, 2)),
    "max_pool_2x2": lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
    "max_pool_3x3": max_pool,
    "max_pool_3x3_norm": lambda x: normalize(max_pool(x)),
    "max_pool_3x3_stride_2": lambda x: max_pool(x, 2),
    "max_pool_3x3_stride_2_norm": lambda x: normalize(max_pool(x, 2)),
}


def of_channels(start: int, stop: int, name: str) -> str:
    """The name of a preparation of the channels from `start` to `stop` alone."""
    return f"{start}:{stop}/{name}"


def prepare(names: Iterable[str], x) -> dict:
    """The preparations of x [B, H, W, C], by their names; channels that several of them read are cut out once."""
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        channels, cut, own = name.partition("/")
        parts.setdefault(channels if cut else "", {})[own if cut else name] = name
    prepared = {name: PREPARATIONS[own](x) for own, name in parts.pop("", {}).items()}
    for channels, inner in parts.items():
        start, stop = map(int, channels.split(":"))
        prepared |= {inner[own]: value for own, value in prepare(inner, x[..., start:stop]).items()}
    return prepared
