"""The PyTorch modules of the goldens: `module(*maps, *tables) -> list of outputs`, maps [B, C, H, W].

Cells and supernets are those of the benchmarks, which are written from quark0/darts (`cnn/operations.py`,
`cnn/model_search.py`, `cnn/model.py`) and D-X-Y/AutoDL-Projects (`lib/models/cell_operations.py`). Auxiliary heads and
stems for large images are written from `cnn/model.py` too, inverted bottlenecks from mit-han-lab/proxylessnas
(`search/modules/layers.py`). Parameters are defined in the order in which data pass them.
"""

from torch import nn

from benchmarks.peers import darts_torch, plain_torch


class Listed(nn.Module):
    """A module whose output is a list."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return [self.module(*inputs)]


class Parallel(nn.ModuleList):
    """Each module on an input of its own."""

    def forward(self, *inputs):
        return [module(x) for module, x in zip(self, inputs, strict=True)]


class Weighted(nn.Module):
    """An operation times its mixing weight."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x, weight):
        return [weight * self.module(x)]


class FactorizedReduce(darts_torch.FactorizedReduce):
    """Reads zeros beyond an odd side."""

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)))


def operation(name, width, channels, stride, affine, pool_norm, running_statistics):
    """A candidate; `running_statistics` matters in evaluation alone, where PyTorch has them always."""
    if name == "skip_connect" and stride == 2:
        return Weighted(FactorizedReduce(width, channels, affine))
    if name.startswith("nor_conv"):
        return Weighted(plain_torch.conv_bn(width, channels, int(name[-1]), stride, affine))
    if name.startswith("mbconv"):
        return Weighted(bottleneck(width, channels, int(name[8]), stride, int(name[-1]), affine))
    candidate = darts_torch.operation(name, channels, stride, affine)
    return Weighted(nn.Sequential(candidate, darts_torch.norm(channels, affine)) if pool_norm else candidate)


def mobile_norm(channels, affine=True):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1, affine=affine)


def bottleneck(width, channels, kernel, stride, expansion, affine=True):
    """Expansion, depthwise convolution, projection; batch norm behind each, ReLU6 behind the first two."""
    inner = width * expansion
    expand = [nn.Conv2d(width, inner, 1, bias=False), mobile_norm(inner, affine), nn.ReLU6()]
    return nn.Sequential(
        *(expand if expansion > 1 else []),
        nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False),
        *(mobile_norm(inner, affine), nn.ReLU6()),
        *(nn.Conv2d(inner, channels, 1, bias=False), mobile_norm(channels, affine)),
    )


def preprocess(widths, channels, reduction_prev, affine, running_statistics):
    """Of both inputs of a cell; the first is the larger one with `reduction_prev`."""
    first = FactorizedReduce if reduction_prev else darts_torch.pointwise
    return Parallel([first(widths[0], channels, affine), darts_torch.pointwise(widths[1], channels, affine)])


def convolution(width, channels, stride=1):
    return [nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)]


def mobile_convolution(width, channels, kernel, stride):
    parts = [nn.Conv2d(width, channels, kernel, stride, kernel // 2, bias=False), mobile_norm(channels), nn.ReLU6()]
    return nn.Sequential(*parts)


def stem_quarter(width, channels):
    halves = [convolution(width, channels // 2, 2), convolution(channels // 2, channels, 2)]
    return nn.Sequential(*halves[0], nn.ReLU(), *halves[1])


def stem_eighth(width, channels):
    return nn.Sequential(nn.ReLU(), *convolution(width, channels, 2))


def auxiliary(stride, last_norm, width, channels, classes):
    """Without the second batch norm for ImageNet."""
    return nn.Sequential(
        *(nn.ReLU(), nn.AvgPool2d(5, stride)),
        *(nn.Conv2d(width, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.Conv2d(128, channels, 2, bias=False), *([nn.BatchNorm2d(channels)] if last_norm else []), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(channels, classes)),
    )


def linear(channels, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def block(role, width, channels, stride, classes):
    """A fixed block of a macro skeleton."""
    builders = {
        "stem": lambda: nn.Sequential(*convolution(width, channels, stride)),
        "stem_quarter": lambda: stem_quarter(width, channels),
        "stem_eighth": lambda: stem_eighth(width, channels),
        "reduction": lambda: plain_torch.Reduction(channels),
        "mobile_stem": lambda: mobile_convolution(width, channels, 3, stride),
        "mobile_first": lambda: bottleneck(width, channels, 3, stride, 1),
        "mobile_head": lambda: mobile_convolution(width, channels, 1, stride),
        "head": lambda: nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), *linear(width, classes)),
        "classifier": lambda: nn.Sequential(*linear(width, classes)),
        "auxiliary_cifar": lambda: auxiliary(3, True, width, channels, classes),
        "auxiliary_imagenet": lambda: auxiliary(2, False, width, channels, classes),
    }
    return Listed(builders[role]())
