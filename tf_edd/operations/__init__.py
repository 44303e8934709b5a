"""Candidate operations: `PRIMITIVES` maps the name of a primitive to its builder.

A builder is called as `builder(channels, stride, **batch norm arguments)` and returns an `Operation`; for
`none` it is `Zero`, which a mixture leaves out.
"""

from tf_edd.operations.base import PREPARATIONS, Operation
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN
from tf_edd.operations.simple import AveragePool, Identity, Zero

PRIMITIVES = {
    "none": lambda channels, stride, **norm: Zero(channels, stride, name="none", **norm),
    "skip_connect": lambda channels, stride, **norm: Identity(channels, stride, name="skip_connect", **norm),
    "nor_conv_1x1": lambda channels, stride, **norm: ConvBN(channels, 1, stride, name="nor_conv_1x1", **norm),
    "nor_conv_3x3": lambda channels, stride, **norm: ConvBN(channels, 3, stride, name="nor_conv_3x3", **norm),
    "avg_pool_3x3": lambda channels, stride, **norm: AveragePool(channels, stride, name="avg_pool_3x3", **norm),
}

__all__ = ["PREPARATIONS", "PRIMITIVES", "AveragePool", "BatchNorm", "ConvBN", "Identity", "Operation", "Zero"]
