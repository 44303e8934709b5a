"""The inverted bottleneck against the same layers in PyTorch: values, averages, all gradients; its initial kernels."""

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.operations import PRIMITIVES
from tf_edd.operations.mobile import MBConv, he_fout

NAMES = [f"mbconv_k{k}_e{e}" for k in (3, 5, 7) for e in (3, 6)]


def torch_bottleneck(nn, width, channels, kernel, stride, expansion, affine):
    """As `MBInvertedConvLayer` of the released code, with its batch norms (momentum 0.1, epsilon 1e-3)."""

    def norm(size):
        return nn.BatchNorm2d(size, eps=1e-3, momentum=0.1, affine=affine)

    inner = width * expansion
    expand = [nn.Conv2d(width, inner, 1, bias=False), norm(inner), nn.ReLU6()] if expansion > 1 else []
    depthwise = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
    return nn.Sequential(
        *expand, depthwise, norm(inner), nn.ReLU6(), nn.Conv2d(inner, channels, 1, bias=False), norm(channels)
    )


def pairs(operation, other):
    """Our variables and PyTorch's parameters in one order: kernel, scale, offset of each convolution."""
    norms = operation.norms if operation.affine else [None] * len(operation.norms)
    ours = []
    for kernel, norm in zip(operation.kernels, norms, strict=True):
        ours += [kernel] if norm is None else [kernel, norm.gamma, norm.beta]
    assert len(ours) == len(operation.trainable_variables) == len(list(other.parameters()))
    return list(zip(ours, other.parameters(), strict=True))


def to_torch(value):
    """A kernel [k, k, in, out] or a vector in PyTorch's order; depthwise kernels have out = 1."""
    value = np.asarray(value)
    if value.ndim != 4:
        return value
    return value.transpose(2, 3, 0, 1) if value.shape[3] == 1 else value.transpose(3, 2, 0, 1)


def both(name, channels, stride, affine, running_statistics, shape, expansion=None):
    torch = pytest.importorskip("torch")
    settings = {"affine": affine, "running_statistics": running_statistics}
    if expansion is None:
        operation = PRIMITIVES[name].build(channels, stride, **settings)
        kernel, expansion = int(name[8]), int(name[-1])
    else:
        kernel = 3
        operation = MBConv(channels, kernel, stride, expansion, **settings)
    operation.build(shape)
    other = torch_bottleneck(torch.nn, shape[-1], channels, kernel, stride, expansion, affine)
    for ours, theirs in pairs(operation, other):
        ours.assign(ours + 0.5 * np.random.default_rng(2).normal(size=ours.shape))
        theirs.data = torch.tensor(to_torch(ours.numpy()))
    return torch, operation, other


CASES = [(name, stride, 4, None) for name in NAMES for stride in (1, 2)]
CASES += [("mbconv_k5_e3", 2, 6, None), ("fixed", 1, 3, 1), ("fixed", 2, 5, 1)]  # other widths; without expansion


@pytest.mark.parametrize(("sides", "affine"), [((8, 8), False), ((7, 5), True)])
@pytest.mark.parametrize(("name", "stride", "channels", "expansion"), CASES)
def test_equals_pytorch(name, stride, channels, expansion, sides, affine):
    # Values far from 0, so that ReLU6 cuts on both sides.
    x = (2 * np.random.default_rng(1).normal(size=(6, *sides, 4))).astype(np.float32)
    torch, operation, other = both(name, channels, stride, affine, False, x.shape, expansion)
    scale, inputs = tf.constant(0.7), tf.constant(x)
    variables = [ours.value for ours, _ in pairs(operation, other)]
    with tf.GradientTape() as tape:
        tape.watch([scale, inputs])
        y = operation.call(inputs, scale, training=True)
        upstream = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
        loss = tf.reduce_sum(y * upstream)
    by_scale, by_input, *by_weights = tape.gradient(loss, [scale, inputs, *variables])

    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    weight = torch.tensor(0.7, requires_grad=True)
    expected = weight * other.train()(images)
    (expected * torch.tensor(upstream.transpose(0, 3, 1, 2))).sum().backward()

    def close(ours, theirs):
        theirs = np.asarray(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * max(1, np.abs(theirs).max()))

    assert operation.compute_output_shape(x.shape) == y.shape
    close(y, expected.detach().numpy().transpose(0, 2, 3, 1))
    close(by_scale, weight.grad)
    close(by_input, images.grad.numpy().transpose(0, 2, 3, 1))
    for slope, (_, theirs) in zip(by_weights, pairs(operation, other), strict=True):
        close(to_torch(slope), theirs.grad)


@pytest.mark.parametrize("name", ["mbconv_k3_e6", "mbconv_k7_e3"])
def test_averages_and_evaluation_equal_pytorch(name):
    x = 2 + np.random.default_rng(1).normal(size=(6, 8, 8, 4)).astype(np.float32)
    torch, operation, other = both(name, 4, 2, True, True, x.shape)
    images = torch.tensor(x.transpose(0, 3, 1, 2))
    for _ in range(2):
        operation.call(x, training=True)
        other.train()(images)
    expected = other.eval()(images).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(operation.call(x, training=False), expected, rtol=1e-3, atol=1e-4)


def test_relu6_cuts_above():
    """One channel without expansion: depthwise 1 at the centre, identity as projection, scale 10 before ReLU6."""
    operation = MBConv(1, 3, 1, 1, affine=True, running_statistics=False)
    operation.build((None, 4, 4, 1))
    operation.kernels[0].assign(np.eye(3)[1][:, None, None, None] * np.eye(3)[1][None, :, None, None])
    operation.kernels[1].assign(np.ones((1, 1, 1, 1)))
    operation.norms[0].gamma.assign([10.0])
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype(np.float32)
    inner = np.clip(10 * (x - x.mean()) / np.sqrt(x.var() + 1e-3), 0, 6)
    expected = (inner - inner.mean()) / np.sqrt(inner.var() + 1e-3)
    np.testing.assert_allclose(operation.call(x, training=True), expected, rtol=1e-4, atol=1e-4)


def test_kernels_start_with_the_variance_of_he():
    """2 / (k^2 times the output channels), of a depthwise kernel too: `init_div_groups` is off in the released code."""
    operation = MBConv(96, 5, 1, 3)
    operation.build((None, 8, 8, 64))
    deviations = [np.std(kernel) for kernel in operation.kernels]
    expected = [np.sqrt(2 / 192), np.sqrt(2 / (25 * 192)), np.sqrt(2 / 96)]
    np.testing.assert_allclose(deviations, expected, rtol=0.05)
    assert abs(np.mean(operation.kernels[0])) < 0.01
    assert np.abs(operation.kernels[0]).max() > 3 * expected[0]  # a normal distribution, not cut at two deviations
    assert he_fout(3, 2).stddev == pytest.approx(1 / 3)


def test_configuration_is_complete():
    operation = MBConv(5, 7, 2, 3, affine=False, name="one")
    again = MBConv.from_config(operation.get_config())
    assert (again.channels, again.kernel_size, again.stride, again.expansion, again.affine) == (5, 7, 2, 3, False)
    assert [norm.epsilon for norm in again.norms] == [1e-3] * 3 and {norm.momentum for norm in again.norms} == {0.9}
