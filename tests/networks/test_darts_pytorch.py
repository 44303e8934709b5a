"""The DARTS supernet and the network of DARTS_V2 against the plain PyTorch networks of the benchmarks."""

import keras
import numpy as np
from torch_reference import check_equal, torch

from benchmarks.peers import darts_final_torch, darts_torch
from benchmarks.setting import Setting
from tf_edd.architectures.genotype import load
from tf_edd.networks.final_network import build_final_network
from tf_edd.networks.supernet import Supernet
from tf_edd.spaces import darts

SPACE = darts(4, 3)
CLASSES = 5
SETTING = Setting("darts", channels=4, cells=3, classes=CLASSES)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)


class Listed(torch.nn.Module):
    """A module whose output is a list."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return [self.module(*inputs)]


def test_supernet():
    keras.utils.set_random_seed(0)
    supernet = Supernet(SPACE, CLASSES)
    supernet.build(IMAGES.shape)
    rng = np.random.default_rng(1)
    tables = [rng.dirichlet(np.ones(8), size=14).astype(np.float32) for _ in ("normal", "reduce")]

    def logits(inputs, normal, reduce, training):
        return [supernet(inputs[0], {"normal": normal, "reduce": reduce}, training=training)]

    other = Listed(darts_torch.Supernet(SETTING))
    check_equal(logits, other, supernet.blocks, [IMAGES], *tables)


def test_final_network():
    keras.utils.set_random_seed(0)
    network = build_final_network(SPACE, load("DARTS_V2", SPACE), IMAGES.shape[1:], CLASSES)
    layers = [layer for layer in network.layers if layer.variables]
    other = Listed(darts_final_torch.Network(SETTING))
    check_equal(
        lambda inputs, training: [network(inputs[0], training=training)], other, layers, [IMAGES], evaluates=True
    )
