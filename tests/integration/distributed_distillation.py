"""Program for test_distribution.py: distributed_steps.py in a small space, with self-distillation from the beginning.

Beside `one` and `mirrored` it writes `plain`: one device without distillation.
"""

import sys

import numpy as np
from distributed_steps import run

from tf_edd.regularizers.regularizers import self_distillation
from tf_edd.runtime.strategy import disable_meta_optimizer, make_strategy, use_logical_cpus
from tf_edd.spaces import Block, CellSpec, Edge, Space


def small_space():
    operations = ("skip_connect", "nor_conv_1x1")
    cell = CellSpec("cell", 1, 3, (Edge(0, 1, operations), Edge(1, 2, operations)))
    return Space("small", (cell,), (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4)))


if __name__ == "__main__":
    use_logical_cpus(2)
    disable_meta_optimizer()
    results = {f"plain/{key}": value for key, value in run(make_strategy("one"), space=small_space()).items()}
    for name in ("one", "mirrored"):
        distillation = self_distillation(teachers=2, weight=20.0, warm_up_epochs=0)  # enough to be seen in five steps
        found = run(make_strategy(name), distillation, space=small_space())
        results |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez(sys.argv[1], **results)
