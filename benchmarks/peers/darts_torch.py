"""The DARTS supernet in plain PyTorch: every candidate computed on its own, an edge is sum(w * op(x))."""

import torch
from torch import nn

from benchmarks import setting as s
from benchmarks.peers import darts_layout as layouts
from benchmarks.peers.plain_torch import search_step


def norm(channels: int, affine: bool) -> nn.BatchNorm2d:
    """Batch norm with PyTorch's constants."""
    return nn.BatchNorm2d(channels, affine=affine)


def depthwise(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> nn.Sequential:
    """ReLU, depthwise convolution, pointwise convolution, batch norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        norm(channels, affine),
    )


def pointwise(source: int, channels: int, affine: bool) -> nn.Sequential:
    """ReLU, convolution 1x1, batch norm."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(source, channels, 1, bias=False), norm(channels, affine))


class FactorizedReduce(nn.Module):
    """Halves the resolution: two 1x1 convolutions of stride 2, the second on the input moved by one pixel."""

    def __init__(self, source: int, channels: int, affine: bool):
        super().__init__()
        self.halves = nn.ModuleList(nn.Conv2d(source, channels // 2, 1, 2, bias=False) for _ in range(2))
        self.norm = norm(channels, affine)

    def forward(self, x):
        x = x.relu()
        return self.norm(torch.cat([self.halves[0](x), self.halves[1](x[:, :, 1:, 1:])], 1))


class Zero(nn.Module):
    """The candidate `none`."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


def operation(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """A candidate by name; pools carry no norm here."""
    kind, kernel = name[:3], int(name[-1]) if name[-1].isdigit() else 0
    if kind == "sep":
        parts = (depthwise(channels, kernel, each, 1, affine) for each in (stride, 1))
        return nn.Sequential(*parts)
    if kind == "dil":
        return depthwise(channels, kernel, stride, 2, affine)
    if kind == "max":
        return nn.MaxPool2d(3, stride, 1)
    if kind == "avg":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if kind == "ski":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    return Zero(stride)


def preprocess(plan: layouts.CellPlan, affine: bool) -> nn.ModuleList:
    """Brings both inputs of a cell to its channels, and the first to the size of the second."""
    first = FactorizedReduce if plan.after_reduction else pointwise
    return nn.ModuleList([first(plan.first, plan.channels, affine), pointwise(plan.second, plan.channels, affine)])


def stem(channels: int) -> nn.Sequential:
    """Convolution 3x3 and batch norm."""
    width = layouts.STEM_MULTIPLIER * channels
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), norm(width, affine=True))


def classifier(plan: layouts.CellPlan, classes: int) -> nn.Sequential:
    """Mean over the pixels and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(layouts.NODES * plan.channels, classes))


class MixedOp(nn.ModuleList):
    """The eight candidates of an edge."""

    def __init__(self, channels: int, stride: int):
        candidates = []
        for name in layouts.PRIMITIVES:
            candidate = operation(name, channels, stride, affine=False)
            pooled = "pool" in name
            candidates.append(nn.Sequential(candidate, norm(channels, affine=False)) if pooled else candidate)
        super().__init__(candidates)

    def forward(self, x, weights):
        return sum(weight * candidate(x) for weight, candidate in zip(weights, self, strict=True))


class Cell(nn.Module):
    """Two inputs, four nodes with an edge from every earlier node, the nodes side by side as output."""

    def __init__(self, plan: layouts.CellPlan):
        super().__init__()
        self.inputs = preprocess(plan, affine=False)
        self.edges = nn.ModuleList(
            MixedOp(plan.channels, layouts.stride(plan.kind, source))
            for node in range(layouts.NODES)
            for source in range(2 + node)
        )

    def forward(self, first, second, weights):
        nodes = [self.inputs[0](first), self.inputs[1](second)]
        edges = zip(self.edges, weights, strict=True)
        for _ in range(layouts.NODES):
            nodes.append(sum(edge(node, weight) for node, (edge, weight) in zip(list(nodes), edges, strict=False)))
        return torch.cat(nodes[2:], 1)


class Supernet(nn.Module):
    """Stem, cells, classifier."""

    def __init__(self, setting: s.Setting):
        super().__init__()
        plans = layouts.cells(setting.channels, setting.cells)
        self.kinds = [plan.kind for plan in plans]
        self.stem = stem(setting.channels)
        self.cells = nn.ModuleList(map(Cell, plans))
        self.classifier = classifier(plans[-1], setting.classes)

    def forward(self, x, normal, reduce):
        first = second = self.stem(x)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            first, second = second, cell(first, second, normal if kind == "normal" else reduce)
        return self.classifier(second)


def build(setting: s.Setting, layout: str):
    """The search step of the DARTS supernet."""
    return search_step(Supernet(setting), setting, layout)
