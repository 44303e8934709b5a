"""Every operation of the DARTS space against the same layers in PyTorch: values, averages and all gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.operations import PRIMITIVES
from tf_edd.operations.preparations import PREPARATIONS

torch = pytest.importorskip("torch")
nn = torch.nn

CHANNELS = 4
SIDES_AND_AFFINE = [((8, 8), False), ((7, 5), True), ((1, 2), False)]


class TorchPool(nn.Module):
    def __init__(self, cell_type, stride, normalize):
        super().__init__()
        average = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        self.pool = average if cell_type == "avg" else nn.MaxPool2d(3, stride, padding=1)
        self.norm = nn.BatchNorm2d(CHANNELS, affine=False) if normalize else nn.Identity()

    def forward(self, x):
        return self.norm(self.pool(x))


class TorchFactorizedReduce(nn.Module):
    def __init__(self, inputs, affine):
        super().__init__()
        half = CHANNELS // 2
        self.first = nn.Conv2d(inputs, half, 1, stride=2, bias=False)
        self.second = nn.Conv2d(inputs, CHANNELS - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(CHANNELS, affine=affine)

    def forward(self, x):
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.first(x), self.second(shifted)], 1))


def torch_separable(kernel, stride, padding, dilation, affine):
    return [
        nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
        nn.BatchNorm2d(CHANNELS, affine=affine),
    ]


def torch_operation(name, stride, affine, normalize, inputs=CHANNELS):
    if name == "skip_connect":
        return TorchFactorizedReduce(inputs, affine) if stride == 2 else nn.Identity()
    if "pool" in name:
        return TorchPool(name[:3], stride, normalize)
    k = int(name[-1])
    if name.startswith("dil"):
        return nn.Sequential(*torch_separable(k, stride, k - 1, 2, affine))
    halves = [torch_separable(k, s, k // 2, 1, affine) for s in (stride, 1)]
    return nn.Sequential(*halves[0], *halves[1])


def to_torch(value):
    """A kernel [k, k, in, out] or a vector in PyTorch's order; depthwise kernels have out = 1."""
    value = np.asarray(value)
    if value.ndim != 4:
        return value
    return value.transpose(2, 3, 0, 1) if value.shape[3] == 1 else value.transpose(3, 2, 0, 1)


def pairs(operation, other):
    """Our variables and PyTorch's parameters, in one order."""
    ours = sorted(operation.trainable_variables, key=lambda v: (_position(v.path), v.path))
    theirs = list(other.parameters())
    assert len(ours) == len(theirs)
    return list(zip(ours, theirs, strict=True))


def _position(path):
    """First pair of kernels, first norm, second pair, second norm."""
    last = path.split("/")
    order = {"depthwise": 0, "depthwise_1": 0, "pointwise": 1, "pointwise_1": 1, "kernel_1": 0, "kernel_2": 1}
    order |= {"depthwise_2": 4, "pointwise_2": 5}
    if last[-1] in order:
        return order[last[-1]]
    return (6 if "norm_2" in last else 2) + (last[-1] == "beta")


NAMES = ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3", "skip_connect"]


# Name, stride, input channels: a skip connection of stride 2 alone changes them, in front of a cell.
FORMS = [
    *((name, stride, CHANNELS) for name in NAMES for stride in (1, 2)),
    ("skip_connect", 2, 3),
    ("skip_connect", 2, 10),
]


def close(ours, theirs):
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("sides, affine", SIDES_AND_AFFINE)
@pytest.mark.parametrize("name, stride, inputs", FORMS)
def test_equals_pytorch(name, stride, inputs, sides, affine):
    torch.manual_seed(0)
    normalize = "pool" in name and not affine  # the supernet's poolings
    settings = {"affine": affine, "running_statistics": False, **({"pool_norm": True} if normalize else {})}
    operation = PRIMITIVES[name].build(CHANNELS, stride, **settings)
    x = np.random.default_rng(1).normal(size=(6, *sides, inputs)).astype(np.float32)
    operation.build(x.shape)
    other = torch_operation(name, stride, affine, normalize, inputs).train()
    for ours, theirs in pairs(operation, other):
        ours.assign(ours + 0.3 * np.random.default_rng(2).normal(size=ours.shape))
        theirs.data = torch.tensor(to_torch(ours.numpy()))

    scale, maps = tf.constant(0.7), tf.constant(x)
    variables = [ours.value for ours, _ in pairs(operation, other)]
    with tf.GradientTape() as tape:
        tape.watch([scale, maps])
        y = operation.call(PREPARATIONS[operation.preparation](maps), scale, training=True)
        upstream = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
        loss = tf.reduce_sum(y * upstream)
    by_scale, by_input, *by_weights = tape.gradient(loss, [scale, maps, *variables])

    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    weight = torch.tensor(0.7, requires_grad=True)
    expected = weight * other(images)
    (expected * torch.tensor(upstream.transpose(0, 3, 1, 2))).sum().backward()

    assert operation.compute_output_shape(x.shape) == y.shape
    close(y, expected.detach().numpy().transpose(0, 2, 3, 1))
    close(by_scale, weight.grad)
    close(by_input, images.grad.numpy().transpose(0, 2, 3, 1))
    for slope, (_, theirs) in zip(by_weights, pairs(operation, other), strict=True):
        close(to_torch(slope), theirs.grad)


@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "skip_connect", "avg_pool_3x3"])
def test_averages_and_evaluation_equal_pytorch(name):
    normalize = name == "avg_pool_3x3"
    settings = {"affine": False, "running_statistics": True, **({"pool_norm": True} if normalize else {})}
    operation = PRIMITIVES[name].build(CHANNELS, 2, **settings)
    x = 2 + np.random.default_rng(1).normal(size=(6, 8, 8, CHANNELS)).astype(np.float32)
    operation.build(x.shape)
    other = torch_operation(name, 2, False, normalize)
    for ours, theirs in pairs(operation, other):
        theirs.data = torch.tensor(to_torch(ours.numpy()))
    images = torch.tensor(x.transpose(0, 3, 1, 2))
    prepared = PREPARATIONS[operation.preparation](x)
    for _ in range(2):
        operation.call(prepared, training=True)
        other.train()(images)
    expected = other.eval()(images).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(operation.call(prepared, training=False), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, fan_in", [("sep_conv_3x3", 9), ("dil_conv_5x5", 25)])
def test_depthwise_kernels_start_within_the_reference_bound(name, fan_in):
    operation = PRIMITIVES[name].build(64, 1)
    operation.build((None, 8, 8, 64))
    depthwise = [v.numpy() for v in operation.trainable_variables if "depthwise" in v.path]
    pointwise = [v.numpy() for v in operation.trainable_variables if "pointwise" in v.path]
    for kernels, bound in ((depthwise, fan_in**-0.5), (pointwise, 1 / 8)):
        for kernel in kernels:
            assert 0.95 * bound < np.abs(kernel).max() <= bound
            np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.06)
