"""Counts of what a cell collapses to, of cells written down by hand."""

from types import SimpleNamespace

import numpy as np

from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.search.metrics import architecture_metrics
from tf_edd.spaces import proxyless, s4


def counts(genotype, space):
    probs = {cell_type: np.full(shape, 1 / shape[1], np.float32) for cell_type, shape in space.logit_shapes.items()}
    metrics = architecture_metrics(SimpleNamespace(probs=probs, genotype=genotype, space=space, temperature=1.0))
    return {tag: value for tag, value in metrics.items() if "_count" in tag}


def test_counts_of_all_cells_and_of_each_kind():
    convolutions = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))
    normal = ((("noise", 0), ("noise", 1)), (("noise", 0), ("sep_conv_3x3", 1)), convolutions, convolutions)
    reduce = ((("noise", 0), ("sep_conv_3x3", 1)), convolutions, convolutions, convolutions)
    genotype = Genotype("s4", (("normal", normal), ("reduce", reduce))).check(s4())
    zeros = {f"arch/{name}_count{end}": 0.0 for name in ("skip", "none") for end in ("", "_normal", "_reduce")}
    noise = {"arch/noise_count": 4.0, "arch/noise_count_normal": 3.0, "arch/noise_count_reduce": 1.0}
    assert counts(genotype, s4()) == {**zeros, **noise}


def test_a_chain_is_counted_as_a_whole():
    space = proxyless((4, 6), (2, 1), (1, 2), 4, 1, 4, 8)
    found = counts(from_text("mbconv_k3_e6,none,mbconv_k7_e3", space), space)
    assert found == {"arch/skip_count": 0.0, "arch/none_count": 1.0, "arch/noise_count": 0.0}
