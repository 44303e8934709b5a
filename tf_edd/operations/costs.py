"""What candidate operations cost, by arithmetic from the sizes of their maps.

Nothing here looks at a layer, so the numbers check the layers. Convention of NAS-Bench-201 (Dong and Yang, ICLR 2020):
parameters are everything that is learned; FLOPs are the multiply-adds of convolutions, while batch norm, ReLU, pooling
and additions cost nothing.
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Counts:
    """Sizes of a network (or a part of one): learned parameters, and multiply-adds for one image."""

    parameters: int = 0
    multiply_adds: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


@dataclasses.dataclass(frozen=True)
class Maps:
    """A feature map: height, width and channels."""

    height: int
    width: int
    channels: int

    @property
    def pixels(self) -> int:
        """Number of positions."""
        return self.height * self.width

    @property
    def values(self) -> int:
        """Number of values for one image."""
        return self.pixels * self.channels

    def after(self, channels: int, stride: int = 1) -> "Maps":
        """The maps that an operation with "same" padding returns."""
        return Maps(-(-self.height // stride), -(-self.width // stride), channels)

    def part(self, share: int) -> "Maps":
        """One share-th of the channels."""
        return self if share == 1 else Maps(self.height, self.width, self.channels // share)


@dataclasses.dataclass(frozen=True)
class Shared:
    """Maps kept for the backward pass once for all edges that leave a node, such as its ReLU.

    Attributes:
        name: edges whose operations give equal names share the maps.
        halved: whether the maps have the size after a stride of 2.
        pooled: whether a cell whose poolings are followed by batch norm keeps the maps a second time, normalized.
    """

    name: str
    halved: bool = False
    pooled: bool = False


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a candidate operation costs.

    Attributes:
        counts: `counts(input maps, output maps, affine)`, where `affine` tells whether batch norms have a learned scale
            and offset.
        kept: number of maps of the output's size that this edge alone keeps for the backward pass.
        shared: maps that the edge shares with others.
        inner: `inner(input maps, output maps)`, the number of values kept besides in maps of other sizes.
        strided: the cost at stride 2, where more than the sizes of the maps differs.
    """

    counts: Callable[[Maps, Maps, bool], Counts]
    kept: int = 0
    shared: tuple[Shared, ...] = ()
    inner: Callable[[Maps, Maps], int] = lambda source, out: 0
    strided: "Cost | None" = None

    def at(self, stride: int) -> "Cost":
        """The cost at this stride."""
        return self.strided if stride > 1 and self.strided else self


NODE = Shared("node")  # the value of the source node itself
RELU = Shared("relu")


def convolution(kernel: int, channels_in: int, out: Maps) -> Counts:
    """A dense convolution without bias: k^2 C_in C_out parameters, each used at every output position."""
    parameters = kernel**2 * channels_in * out.channels
    return Counts(parameters, parameters * out.pixels)


def depthwise(kernel: int, out: Maps) -> Counts:
    """A depthwise convolution without bias: k^2 C parameters."""
    parameters = kernel**2 * out.channels
    return Counts(parameters, parameters * out.pixels)


def batch_norm(channels: int, affine: bool = True) -> Counts:
    """Scale and offset, if affine; no multiply-adds by the convention."""
    return Counts(2 * channels if affine else 0)


def free(kept: int = 0, shared: tuple[Shared, ...] = (), strided: Cost | None = None) -> Cost:
    """An operation without parameters and multiply-adds."""
    return Cost(lambda source, out, affine: Counts(), kept, shared, strided=strided)


def skip() -> Cost:
    """The node itself; at stride 2 two 1x1 convolutions with half of the channels each, and batch norm."""

    def reduction(source: Maps, out: Maps, affine: bool) -> Counts:
        return convolution(1, source.channels, out) + batch_norm(out.channels, affine)

    return free(shared=(NODE,), strided=Cost(reduction, 1, (RELU,)))


def pool(name: str) -> Cost:
    """Pooled maps, shared by all edges that leave the node."""
    strided = free(shared=(Shared(f"{name}_stride_2", halved=True, pooled=True),))
    return free(shared=(Shared(name, pooled=True),), strided=strided)


def relu_conv_bn(kernel: int) -> Cost:
    """ReLU, dense convolution, batch norm."""

    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        return convolution(kernel, source.channels, out) + batch_norm(out.channels, affine)

    return Cost(counts, 1, (RELU,))


def sep_conv(kernel: int) -> Cost:
    """Twice ReLU, depthwise and pointwise convolution, batch norm; the first time at the channels of the input."""

    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        middle = Maps(out.height, out.width, source.channels)
        return _separable(kernel, source.channels, middle, affine) + _separable(kernel, source.channels, out, affine)

    return Cost(counts, 5, (RELU,))  # what each convolution returns, and the ReLU in the middle


def dil_conv(kernel: int) -> Cost:
    """ReLU, dilated depthwise and pointwise convolution, batch norm."""

    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        return _separable(kernel, source.channels, out, affine)

    # What the two convolutions return, and the input rearranged for the dilation; at stride 2 even pixels are shared.
    return Cost(counts, 3, (RELU,), strided=Cost(counts, 2, (Shared("relu_even", halved=True),)))


def mbconv(kernel: int, expansion: int) -> Cost:
    """The inverted bottleneck: 1x1 to e C_in (unless e = 1), depthwise, 1x1 to C, each with batch norm."""

    def widened(source: Maps, out: Maps) -> tuple[Maps, Maps]:
        """The maps before and after the depthwise convolution."""
        width = source.channels * expansion
        return Maps(source.height, source.width, width), Maps(out.height, out.width, width)

    def counts(source: Maps, out: Maps, affine: bool) -> Counts:
        before, after = widened(source, out)
        expand = convolution(1, source.channels, before) + batch_norm(before.channels, affine)
        middle = depthwise(kernel, after) + batch_norm(after.channels, affine)
        project = convolution(1, after.channels, out) + batch_norm(out.channels, affine)
        return (expand if expansion > 1 else Counts()) + middle + project

    def inner(source: Maps, out: Maps) -> int:
        """What the first two convolutions return, and their ReLU6."""
        before, after = widened(source, out)
        return (2 * before.values if expansion > 1 else 0) + 2 * after.values

    return Cost(counts, 1, (NODE,), inner)


def _separable(kernel: int, channels_in: int, out: Maps, affine: bool) -> Counts:
    """Depthwise and pointwise convolution, batch norm."""
    inner = depthwise(kernel, Maps(out.height, out.width, channels_in))
    return inner + convolution(1, channels_in, out) + batch_norm(out.channels, affine)
