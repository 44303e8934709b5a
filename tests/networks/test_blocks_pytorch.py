"""Preprocessing, stems and auxiliary heads against PyTorch: values, all gradients, evaluation by moving averages."""

import numpy as np
import pytest
from torch_reference import check_equal, torch

from tf_edd.networks.auxiliary import build_auxiliary
from tf_edd.networks.blocks import build_block
from tf_edd.networks.preprocess import Preprocess
from tf_edd.spaces import Block

nn = torch.nn
NORM = {"affine": True, "running_statistics": True}


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class List(nn.ModuleList):
    """Each module on an input of its own."""

    def forward(self, *inputs):
        return [module(x) for module, x in zip(self, inputs, strict=True)]


class FactorizedReduce(nn.Module):
    def __init__(self, inputs, channels, affine):
        super().__init__()
        self.halves = nn.ModuleList(nn.Conv2d(inputs, channels // 2, 1, 2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x):
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]  # zeros beyond an odd side
        return self.norm(torch.cat([self.halves[0](x), self.halves[1](shifted)], 1))


def relu_conv_norm(inputs, channels, affine):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels, affine=affine))


@pytest.mark.parametrize("norm", [NORM, {"affine": False, "running_statistics": False}], ids=["final", "search"])
@pytest.mark.parametrize("sides", [None, (8, 6), (7, 5)])
def test_preprocess(sides, norm):
    """`sides`: of the first input where it is the larger one."""
    x = [images(6, *(sides or (4, 3)), 3), images(6, 4, 3, 10, seed=1)]
    layer = Preprocess(6, 2, sides is not None, norm)
    layer.build([each.shape for each in x])
    first = relu_conv_norm if sides is None else FactorizedReduce
    other = List([first(3, 6, norm["affine"]), relu_conv_norm(10, 6, norm["affine"])])
    check_equal(layer.call, other, [layer], x, evaluates=norm["running_statistics"])


def stem(role, inputs, channels):
    """Kernels 3x3 of stride 2 with a padding of 1 (methods.md 4.3)."""

    def conv(*channels):
        return [nn.Conv2d(*channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels[-1])]

    if role == "stem_eighth":
        return nn.Sequential(nn.ReLU(), *conv(inputs, channels))
    return nn.Sequential(*conv(inputs, channels // 2), nn.ReLU(), *conv(channels // 2, channels))


def single(layer):
    """The layer as a function of lists."""
    return lambda inputs, training: [layer.call(inputs[0], training=training)]


@pytest.mark.parametrize("role, inputs", [("stem_quarter", 3), ("stem_eighth", 6)])
@pytest.mark.parametrize("sides", [(16, 24), (15, 9)])
def test_stems_for_large_images(role, inputs, sides):
    x = images(6, *sides, inputs)
    layer = build_block(Block(role, 6), 0, NORM, role)
    layer.build(x.shape)
    check_equal(single(layer), List([stem(role, inputs, 6)]), [layer], [x], evaluates=True)


def auxiliary(stride, last_norm, inputs, classes):
    """Methods.md 4.2.5 (CIFAR) and 4.3 (ImageNet, without the last batch norm)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride),
        *(nn.Conv2d(inputs, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.Conv2d(128, 768, 2, bias=False), *([nn.BatchNorm2d(768)] if last_norm else []), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(768, classes)),
    )


@pytest.mark.parametrize(
    "role, side, stride, last_norm", [("auxiliary_cifar", 8, 3, True), ("auxiliary_imagenet", 7, 2, False)]
)
def test_auxiliary_heads(role, side, stride, last_norm):
    x = images(8, side, side, 6)
    layer = build_auxiliary(Block(role, 768), 5, NORM, role)
    layer.build(x.shape)
    check_equal(single(layer), List([auxiliary(stride, last_norm, 6, 5)]), [layer], [x], evaluates=True)
