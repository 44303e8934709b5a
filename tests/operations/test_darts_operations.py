"""Every operation of the DARTS space and of NAS-Bench-201 against PyTorch: values, averages and all gradients."""

import numpy as np
import pytest
from golden_layers import check_operation
from goldens.cases import GROUPS

from tf_edd.operations import PRIMITIVES


@pytest.mark.parametrize("name", GROUPS["darts_operations"])
def test_darts_operations_equal_pytorch(name):
    check_operation(GROUPS["darts_operations"][name], "darts_operations")


@pytest.mark.parametrize("name", GROUPS["nas_bench_201_operations"])
def test_nas_bench_201_operations_equal_pytorch(name):
    check_operation(GROUPS["nas_bench_201_operations"][name], "nas_bench_201_operations")


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
