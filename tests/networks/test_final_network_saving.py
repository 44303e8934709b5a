"""Whether every Keras version writes the whole of a final network.

Keras looks for layers in the attributes of a layer and in flat containers there; what lies deeper is written by some
versions and silently left out by others. A saved network therefore must not depend on it.
"""

import keras
import pytest

from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.networks.final_network import FinalCell, build_final_network
from tf_edd.spaces import darts, nas_bench_201, proxyless

OF_KERAS = set(dir(keras.layers.Layer()))  # attributes that the writer passes over

NAS_BENCH_201 = nas_bench_201(4, 1)
DARTS = darts(4, 3, 2)
MOBILE = proxyless((4, 6), (2, 3), (1, 2), stem_width=4, stem_stride=1, first_width=4, head_width=8)
DARTS_CELL = (
    (("sep_conv_3x3", 0), ("skip_connect", 1)),
    (("max_pool_3x3", 1), ("dil_conv_5x5", 2)),
)
NETWORKS = {
    "nas_bench_201": (
        NAS_BENCH_201,
        from_text(
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|skip_connect~1|nor_conv_3x3~2|", NAS_BENCH_201
        ),
    ),
    "darts": (DARTS, Genotype("darts", (("normal", DARTS_CELL), ("reduce", DARTS_CELL)))),
    "mobile": (MOBILE, from_text("mbconv_k3_e3,none,mbconv_k5_e6,mbconv_k7_e3,none", MOBILE)),
}


def written(layer):
    """The layer and those below it that lie in an attribute or in a flat container, by identity."""
    found = {id(layer)}
    for name in set(dir(layer)) - OF_KERAS:
        value = getattr(layer, name)
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        for item in items:
            if isinstance(item, keras.layers.Layer) and id(item) not in found:
                found |= written(item)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_with_weights_is_written_by_every_keras(name):
    space, genotype = NETWORKS[name]
    network = build_final_network(space, genotype, (32, 32, 3), 5)
    assert any(isinstance(layer, FinalCell) and layer.weights for layer in network.layers)
    for layer in network.layers:
        found = written(layer)
        lost = [part.path for part in layer._flatten_layers() if part.weights and id(part) not in found]
        assert not lost


def test_the_operations_of_a_cell_lie_in_the_order_of_its_edges():
    space, genotype = NETWORKS["darts"]
    network = build_final_network(space, genotype, (32, 32, 3), 5)
    cell = next(layer for layer in network.layers if isinstance(layer, FinalCell))
    names = [[operation.name for operation in operations] for operations in cell.operations]
    assert names == [["sep_conv_3x3", "skip_connect"], ["max_pool_3x3", "dil_conv_5x5"]]
    assert [operation for node in cell.operations for operation in node] == cell.edge_operations
