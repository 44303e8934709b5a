"""Preprocessing, stems, reductions and heads against PyTorch: values, all gradients, evaluation by moving averages."""

import pytest
from golden_layers import check
from goldens.cases import GROUPS

from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.roles import build_block
from tf_edd.spaces import Block

CASES = GROUPS["blocks"]
NORM = {"affine": True, "running_statistics": True}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.module == "modules:preprocess"])
def test_preprocess(name):
    case = CASES[name]
    norm = {key: case.arguments[key] for key in NORM}
    layer = Preprocess(case.arguments["channels"], 2, case.arguments["reduction_prev"], norm)
    layer.build(list(case.inputs))
    check(case, "blocks", layer.call, [layer])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.module == "modules:block"])
def test_fixed_blocks(name):
    case = CASES[name]
    role, channels, stride, classes = (case.arguments[key] for key in ("role", "channels", "stride", "classes"))
    layer = build_block(Block(role, channels, stride), classes, NORM, role)
    layer.build(case.inputs[0])
    check(case, "blocks", lambda inputs, training: [layer.call(inputs[0], training=training)], [layer])
