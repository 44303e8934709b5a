"""The network of the cell DARTS_V2 in plain PyTorch, and a step of its training."""

import torch
from torch import nn

from benchmarks import setting as s
from benchmarks.peers import darts_layout as layouts
from benchmarks.peers.darts_torch import classifier, operation, preprocess, stem


class Cell(nn.Module):
    """Two inputs, four nodes that each add two operations, the nodes side by side as output."""

    def __init__(self, plan: layouts.CellPlan):
        super().__init__()
        pairs = layouts.DARTS_V2[plan.kind]
        self.inputs = preprocess(plan, affine=True)
        self.sources = [[source for _, source in pair] for pair in pairs]
        self.operations = nn.ModuleList(
            operation(name, plan.channels, layouts.stride(plan.kind, source), affine=True)
            for pair in pairs
            for name, source in pair
        )

    def forward(self, first, second):
        nodes = [self.inputs[0](first), self.inputs[1](second)]
        operations = iter(self.operations)
        for one, other in self.sources:
            nodes.append(next(operations)(nodes[one]) + next(operations)(nodes[other]))
        return torch.cat(nodes[2:], 1)


class Network(nn.Module):
    """Stem, cells, classifier."""

    def __init__(self, setting: s.Setting):
        super().__init__()
        plans = layouts.cells(setting.channels, setting.cells)
        self.stem = stem(setting.channels)
        self.cells = nn.ModuleList(map(Cell, plans))
        self.classifier = classifier(plans[-1], setting.classes)

    def forward(self, x):
        first = second = self.stem(x)
        for cell in self.cells:
            first, second = second, cell(first, second)
        return self.classifier(second)


def build(setting: s.Setting, layout: str):
    """A training step: SGD with momentum and coupled weight decay, clipped gradient."""
    torch.set_num_threads(setting.cores)
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    network = Network(setting).to(memory_format=memory_format)
    s.check_parameters(setting, sum(parameter.numel() for parameter in network.parameters()))
    optimizer = torch.optim.SGD(network.parameters(), s.LEARNING_RATE, s.MOMENTUM, weight_decay=s.WEIGHT_DECAY)

    def step(images, labels):
        optimizer.zero_grad()
        images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        loss = nn.functional.cross_entropy(network(images), torch.from_numpy(labels).long())
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), s.CLIP_NORM)
        optimizer.step()
        return [loss.item()]

    return step
