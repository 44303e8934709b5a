"""Candidate operations: `PRIMITIVES` maps the name of a primitive to its builder.

A builder is called as `builder(channels, stride, **arguments of Operation)` and returns an `Operation`. `none` is a
`Zero`, which a mixture leaves out. Those of `POOLING` take `normalize` too.
"""

from tf_edd.operations.base import PREPARATIONS, Operation
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN
from tf_edd.operations.mobile import MBConv
from tf_edd.operations.separable import DilConv, SepConv
from tf_edd.operations.simple import FactorizedReduce, Identity, Noise, Pool, Zero


def _skip(channels, stride, **settings):
    return (Identity if stride == 1 else FactorizedReduce)(channels, stride, name="skip_connect", **settings)


def _mbconv(kernel, expansion):
    name = f"mbconv_k{kernel}_e{expansion}"
    return lambda channels, stride, **settings: MBConv(channels, kernel, stride, expansion, name=name, **settings)


PRIMITIVES = {
    "none": lambda channels, stride, **settings: Zero(channels, stride, name="none", **settings),
    "skip_connect": _skip,
    "nor_conv_1x1": lambda channels, stride, **settings: ConvBN(channels, 1, stride, name="nor_conv_1x1", **settings),
    "nor_conv_3x3": lambda channels, stride, **settings: ConvBN(channels, 3, stride, name="nor_conv_3x3", **settings),
    "avg_pool_3x3": lambda channels, stride, **settings: Pool(
        channels, stride, "average", name="avg_pool_3x3", **settings
    ),
    "max_pool_3x3": lambda channels, stride, **settings: Pool(channels, stride, "max", name="max_pool_3x3", **settings),
    "sep_conv_3x3": lambda channels, stride, **settings: SepConv(channels, 3, stride, name="sep_conv_3x3", **settings),
    "sep_conv_5x5": lambda channels, stride, **settings: SepConv(channels, 5, stride, name="sep_conv_5x5", **settings),
    "dil_conv_3x3": lambda channels, stride, **settings: DilConv(channels, 3, stride, name="dil_conv_3x3", **settings),
    "dil_conv_5x5": lambda channels, stride, **settings: DilConv(channels, 5, stride, name="dil_conv_5x5", **settings),
    "mbconv_k3_e3": _mbconv(3, 3),
    "mbconv_k3_e6": _mbconv(3, 6),
    "mbconv_k5_e3": _mbconv(5, 3),
    "mbconv_k5_e6": _mbconv(5, 6),
    "mbconv_k7_e3": _mbconv(7, 3),
    "mbconv_k7_e6": _mbconv(7, 6),
    "noise": lambda channels, stride, **settings: Noise(channels, stride, name="noise", **settings),
}
POOLING = ("avg_pool_3x3", "max_pool_3x3")

__all__ = [
    "POOLING",
    "PREPARATIONS",
    "PRIMITIVES",
    "BatchNorm",
    "ConvBN",
    "DilConv",
    "FactorizedReduce",
    "Identity",
    "MBConv",
    "Noise",
    "Operation",
    "Pool",
    "SepConv",
    "Zero",
]
