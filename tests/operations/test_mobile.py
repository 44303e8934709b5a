"""The inverted bottleneck against the same layers in PyTorch: values, averages, all gradients; its initial kernels."""

import numpy as np
import pytest
from golden_layers import check_operation
from goldens.cases import GROUPS

from tf_edd.operations.mobile import MBConv, he_fout

CASES = GROUPS["mobile_operations"]


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name):
    check_operation(CASES[name], "mobile_operations")


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
