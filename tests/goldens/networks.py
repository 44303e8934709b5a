"""The supernets and final networks of the goldens; see `modules`."""

from torch import nn

from benchmarks.peers import darts_final_torch, darts_layout, darts_torch, plain_torch
from benchmarks.setting import Setting

from . import cases
from .modules import Listed, auxiliary, bottleneck, linear, mobile_convolution, operation, stem_eighth, stem_quarter


def darts_supernet(channels, cells, classes):
    return Listed(darts_torch.Supernet(Setting("darts", channels=channels, cells=cells, classes=classes)))


def nas_bench_201_supernet(channels, cells, classes):
    return Listed(plain_torch.Supernet(Setting(channels=channels, cells=cells, classes=classes)))


class DartsNetwork(nn.Module):
    """The cells of DARTS_V2 behind given stems, classifier, auxiliary head behind the second reduction."""

    def __init__(self, stems, plans, head, classes):
        super().__init__()
        self.stems, self.cells = nn.ModuleList(stems), nn.ModuleList(map(darts_final_torch.Cell, plans))
        self.second_reduction = 2 * len(plans) // 3
        self.classifier = darts_torch.classifier(plans[-1], classes)
        self.auxiliary = auxiliary(*head, darts_layout.NODES * plans[self.second_reduction].channels, 768, classes)

    def forward(self, x):
        first = self.stems[0](x)
        second = first if len(self.stems) == 1 else self.stems[1](first)
        for index, cell in enumerate(self.cells):
            first, second = second, cell(first, second)
            if index == self.second_reduction:
                branch = self.auxiliary(second)
        return [self.classifier(second), branch]


def darts_network(channels, cells, classes):
    """For CIFAR."""
    plans = darts_layout.cells(channels, cells)
    return DartsNetwork([darts_torch.stem(channels)], plans, (3, True), classes)


def darts_imagenet_network(channels, cells, classes):
    """Two stems of as many channels as a node; the first cell reads the larger maps of the first stem."""
    plans = darts_layout.cells(channels, cells)
    plans[0] = plans[0]._replace(first=channels, second=channels, after_reduction=True)
    plans[1] = plans[1]._replace(first=channels)
    return DartsNetwork([stem_quarter(3, channels), stem_eighth(channels, channels)], plans, (2, False), classes)


class NasBench201Cell(nn.Module):
    """The operations of `cases.NAS_BENCH_201_CELL` with learned scales and offsets."""

    def __init__(self, channels):
        super().__init__()
        nodes = [node.strip("|").split("|") for node in cases.NAS_BENCH_201_CELL.split("+")]
        self.sources = [[int(edge.split("~")[1]) for edge in node] for node in nodes]
        self.operations = nn.ModuleList(
            operation(edge.split("~")[0], channels, channels, 1, True, False, True) for node in nodes for edge in node
        )

    def forward(self, x):
        nodes, operations = [x], iter(self.operations)
        for sources in self.sources:
            nodes.append(sum(next(operations)(nodes[source], 1.0)[0] for source in sources))
        return nodes[-1]


def nas_bench_201_network(channels, cells, classes):
    """The supernet's skeleton with discrete cells."""
    network = plain_torch.Supernet(Setting(channels=channels, cells=cells, classes=classes))
    blocks = [
        block if isinstance(block, plain_torch.Reduction) else NasBench201Cell(channels * 2 ** (index // (cells + 1)))
        for index, block in enumerate(network.blocks)
    ]
    return Listed(nn.Sequential(network.stem, *blocks, network.head))


class MobileBlock(nn.Module):
    """The candidates of a block beside its shortcut; `none` leaves the shortcut alone."""

    def __init__(self, names, width, channels, stride, affine):
        super().__init__()
        self.residual = stride == 1 and width == channels
        self.candidates = nn.ModuleList(
            nn.Identity() if name == "none" else operation(name, width, channels, stride, affine, False, True)
            for name in names
        )

    def forward(self, x, weights):
        pairs = zip(self.candidates, weights, strict=True)
        terms = [candidate(x, weight)[0] for candidate, weight in pairs if not isinstance(candidate, nn.Identity)]
        return sum(terms, start=x if self.residual else 0)


class MobileNetwork(nn.Module):
    """Stem, fixed bottleneck, a chain of blocks, head, classifier.

    Args:
        names: Candidates of each block.
        affine: Of the batch norms of the chain.
    """

    def __init__(
        self, names, affine, widths, blocks, strides, stem_width, stem_stride, first_width, head_width, classes
    ):
        super().__init__()
        chain, width = [], first_width
        for channels, count, first_stride in zip(widths, blocks, strides, strict=True):
            for stride in (first_stride, *[1] * (count - 1)):
                chain.append((width, channels, stride))
                width = channels
        self.stem = mobile_convolution(3, stem_width, 3, stem_stride)
        self.first = bottleneck(stem_width, first_width, 3, 1, 1)
        self.chain = nn.ModuleList(MobileBlock(each, *sizes, affine) for each, sizes in zip(names, chain, strict=True))
        self.head = mobile_convolution(width, head_width, 1, 1)
        self.classifier = nn.Sequential(*linear(head_width, classes))

    def forward(self, x, *tables):
        x = self.first(self.stem(x))
        for block, table in zip(self.chain, tables or [[[1.0]]] * len(self.chain), strict=True):
            x = block(x, table[0])
        return [self.classifier(self.head(x))]


def mobile_supernet(candidates, **sizes):
    return MobileNetwork(candidates, False, **sizes)


def mobile_network(genotype, **sizes):
    return MobileNetwork([[name] for name in genotype.split(",")], True, **sizes)
