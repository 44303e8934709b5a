"""The candidate operations: one row of `PRIMITIVES` holds everything that the package knows about one.

A foreign operation is added by a row: `PRIMITIVES["my_op"] = Primitive(build=MyOp, cost=..., family=..., label=...)`.

Reading the table loads no layers and no TensorFlow: counts and drawings need neither.
"""

import dataclasses
import pkgutil
from collections.abc import Callable

from tf_edd.errors import UserError
from tf_edd.operations import costs
from tf_edd.operations.costs import Cost


@dataclasses.dataclass(frozen=True)
class Primitive:
    """A candidate operation.

    Attributes:
        build: `build(channels, stride, **policy)` returns its layer, an `Operation`. The policy holds `affine`,
            `running_statistics`, `dtype` and `name`, and `pool_norm` for an operation with `pooling`.
        cost: parameters, multiply-adds and memory, by arithmetic that does not look at the layer.
        family: what it has in common with others of its color in drawings.
        label: short name in drawings.
        pooling: whether batch norm follows it in the supernet of a cell with `pool_norm`.
        expansion: width of its inner maps, in widths of its input; drawings of chains show it as the height of a box.
    """

    build: Callable
    cost: Cost
    family: str
    label: str
    pooling: bool = False
    expansion: int = 1


def _layer(target: str, **settings) -> Callable:
    """A builder of the layer `module:Class` of this package, which is imported when it is first built."""

    def build(channels, stride=1, **policy):
        layer = pkgutil.resolve_name(f"tf_edd.operations.{target}")
        return layer(channels, stride=stride, **settings, **policy)

    return build


PRIMITIVES: dict[str, Primitive] = {
    "none": Primitive(_layer("simple:Zero"), costs.free(), "none", "none"),
    "skip_connect": Primitive(_layer("simple:skip"), costs.skip(), "skip", "skip"),
    "nor_conv_1x1": Primitive(
        _layer("conv:ConvBN", kernel_size=1), costs.relu_conv_bn(1), "convolution 1×1", "conv 1×1"
    ),
    "nor_conv_3x3": Primitive(_layer("conv:ConvBN", kernel_size=3), costs.relu_conv_bn(3), "convolution", "conv 3×3"),
    "avg_pool_3x3": Primitive(
        _layer("simple:Pool", pooling="average"), costs.pool("avg_pool_3x3"), "pooling", "avg pool 3×3", pooling=True
    ),
    "max_pool_3x3": Primitive(
        _layer("simple:Pool", pooling="max"), costs.pool("max_pool_3x3"), "pooling", "max pool 3×3", pooling=True
    ),
    "sep_conv_3x3": Primitive(
        _layer("separable:SepConv", kernel_size=3), costs.sep_conv(3), "convolution", "sep conv 3×3"
    ),
    "sep_conv_5x5": Primitive(
        _layer("separable:SepConv", kernel_size=5), costs.sep_conv(5), "convolution", "sep conv 5×5"
    ),
    "dil_conv_3x3": Primitive(
        _layer("separable:DilConv", kernel_size=3), costs.dil_conv(3), "dilated convolution", "dil conv 3×3"
    ),
    "dil_conv_5x5": Primitive(
        _layer("separable:DilConv", kernel_size=5), costs.dil_conv(5), "dilated convolution", "dil conv 5×5"
    ),
    "mbconv_k3_e3": Primitive(
        _layer("mobile:MBConv", kernel_size=3, expansion=3), costs.mbconv(3, 3), "MBConv 3×3", "MB3 3×3", expansion=3
    ),
    "mbconv_k3_e6": Primitive(
        _layer("mobile:MBConv", kernel_size=3, expansion=6), costs.mbconv(3, 6), "MBConv 3×3", "MB6 3×3", expansion=6
    ),
    "mbconv_k5_e3": Primitive(
        _layer("mobile:MBConv", kernel_size=5, expansion=3), costs.mbconv(5, 3), "MBConv 5×5", "MB3 5×5", expansion=3
    ),
    "mbconv_k5_e6": Primitive(
        _layer("mobile:MBConv", kernel_size=5, expansion=6), costs.mbconv(5, 6), "MBConv 5×5", "MB6 5×5", expansion=6
    ),
    "mbconv_k7_e3": Primitive(
        _layer("mobile:MBConv", kernel_size=7, expansion=3), costs.mbconv(7, 3), "MBConv 7×7", "MB3 7×7", expansion=3
    ),
    "mbconv_k7_e6": Primitive(
        _layer("mobile:MBConv", kernel_size=7, expansion=6), costs.mbconv(7, 6), "MBConv 7×7", "MB6 7×7", expansion=6
    ),
    "noise": Primitive(_layer("simple:Noise"), costs.free(kept=1), "noise", "noise"),
}


def find(name: str) -> Primitive:
    """The row of an operation.

    Raises:
        UserError: No such operation.
    """
    if name not in PRIMITIVES:
        raise UserError(f"Expected one of the operations {sorted(PRIMITIVES)}. Received: {name!r}")
    return PRIMITIVES[name]
