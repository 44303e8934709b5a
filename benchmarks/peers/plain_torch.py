"""The supernet in plain PyTorch: every candidate computed on its own, an edge is sum(w * op(x))."""

import torch
from torch import nn

from benchmarks import setting as s


def conv_bn(source: int, channels: int, kernel: int, stride: int = 1, affine: bool = False) -> nn.Sequential:
    """ReLU, convolution without bias, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(source, channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


class Zero(nn.Module):
    """The candidate `none`."""

    def forward(self, x):
        return x.mul(0.0)


class MixedOp(nn.ModuleList):
    """The five candidates of an edge."""

    def __init__(self, channels: int):
        pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
        super().__init__([Zero(), nn.Identity(), conv_bn(channels, channels, 1), conv_bn(channels, channels, 3), pool])

    def forward(self, x, weights):
        return sum(weight * candidate(x) for weight, candidate in zip(weights, self, strict=True))


class Cell(nn.Module):
    """Four nodes, an edge from every earlier node, the last node is the output."""

    def __init__(self, channels: int):
        super().__init__()
        self.edges = nn.ModuleList(MixedOp(channels) for _ in range(6))

    def forward(self, x, weights):
        nodes, edge = [x], 0
        for _ in range(3):
            terms = [self.edges[edge + i](node, weights[edge + i]) for i, node in enumerate(nodes)]
            edge += len(nodes)
            nodes.append(sum(terms))
        return nodes[-1]


class Reduction(nn.Module):
    """The fixed residual block of stride 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(channels // 2, channels, 3, stride=2, affine=True), conv_bn(channels, channels, 3, affine=True)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(channels // 2, channels, 1, bias=False))

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Supernet(nn.Module):
    """Stem, three stages of cells with residual blocks between them, head."""

    def __init__(self, setting: s.Setting):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, setting.channels, 3, padding=1, bias=False), nn.BatchNorm2d(setting.channels)
        )
        self.blocks = nn.ModuleList()
        for stage in range(3):
            channels = setting.channels * 2**stage
            self.blocks.extend([Reduction(channels)] if stage else [])
            self.blocks.extend(Cell(channels) for _ in range(setting.cells))
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, setting.classes),
        )

    def forward(self, x, weights):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, weights) if isinstance(block, Cell) else block(x)
        return self.head(x)


def build(setting: s.Setting, layout: str):
    """The search step of the NAS-Bench-201 supernet."""
    return search_step(Supernet(setting), setting, layout)


def search_step(supernet: nn.Module, setting: s.Setting, layout: str):
    """A weight step and an architecture step, both with a full backward pass as in the authors' search loops."""
    torch.set_num_threads(setting.cores)
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    supernet = supernet.to(memory_format=memory_format)
    s.check_parameters(setting, sum(parameter.numel() for parameter in supernet.parameters()))
    logits = [nn.Parameter(s.LOGIT_SCALE * torch.randn(shape)) for shape in s.SUITES[setting.suite].logit_shapes]
    optimizer = torch.optim.SGD(
        supernet.parameters(), s.LEARNING_RATE, s.MOMENTUM, weight_decay=s.WEIGHT_DECAY, nesterov=True
    )
    arch_optimizer = torch.optim.Adam(
        logits, s.ARCH_LEARNING_RATE, betas=s.ARCH_BETAS, weight_decay=s.ARCH_WEIGHT_DECAY
    )

    def backward(images, labels):
        optimizer.zero_grad()
        arch_optimizer.zero_grad()
        images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        outputs = supernet(images, *(each.softmax(-1) for each in logits))
        loss = nn.functional.cross_entropy(outputs, torch.from_numpy(labels).long())
        loss.backward()
        return loss.item()

    def step(images, labels, valid_images, valid_labels):
        loss = backward(images, labels)
        nn.utils.clip_grad_norm_(supernet.parameters(), s.CLIP_NORM)
        optimizer.step()
        arch_loss = backward(valid_images, valid_labels)
        arch_optimizer.step()
        return [loss, arch_loss]

    return step
