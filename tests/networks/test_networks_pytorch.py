"""Supernets and final networks against PyTorch: logits, loss, the gradients of weights and probabilities."""

import keras
import pytest
from golden_layers import check
from goldens.cases import GROUPS, MOBILE_GENOTYPE, MOBILE_SIZES, NAS_BENCH_201_CELL

from tf_edd.architectures.genotype import load
from tf_edd.networks.final_network import build_final_network
from tf_edd.networks.supernet import Supernet
from tf_edd.spaces import darts, darts_imagenet, nas_bench_201, proxyless

CASES = GROUPS["networks"]
MAKERS = {"darts": darts, "darts_imagenet": darts_imagenet, "nas_bench_201": nas_bench_201}
GENOTYPES = {
    "nas_bench_201": NAS_BENCH_201_CELL,
    "darts": "DARTS_V2",
    "darts_imagenet": "DARTS_V2",
    "mobile": MOBILE_GENOTYPE,
}


def make_space(name, case):
    if name == "mobile":
        return proxyless(**MOBILE_SIZES)
    return MAKERS[name](case.arguments["channels"], case.arguments["cells"])


@pytest.mark.parametrize("name", ["nas_bench_201", "darts", "mobile"])
def test_supernet(name):
    case = CASES[f"{name}_supernet"]
    space = make_space(name, case)
    supernet = Supernet(space, case.classes)
    supernet.build(case.inputs[0])

    def logits(inputs, *tables, training):
        return [supernet(inputs[0], dict(zip(space.logit_shapes, tables, strict=True)), training=training)]

    check(case, "networks", logits, supernet.blocks)


@pytest.mark.parametrize("name", GENOTYPES)
def test_final_network(name):
    case = CASES[f"{name}_network"]
    space = make_space(name, case)
    auxiliary = any(block.auxiliary for block in space.blocks)
    genotype = load(GENOTYPES[name], space)
    network = build_final_network(space, genotype, case.inputs[0][1:], case.classes, auxiliary=auxiliary)
    layers = [layer for layer in network.layers if layer.variables]
    layers.sort(key=lambda layer: layer.name.startswith("auxiliary"))  # last, as in PyTorch

    def logits(inputs, training):
        return keras.tree.flatten(network(inputs[0], training=training))

    check(case, "networks", logits, layers)
