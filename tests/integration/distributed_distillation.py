"""Program for test_distribution.py: distributed_steps.py in a small space, with self-distillation from the beginning.

Beside `one` and `mirrored` it writes `plain`: one device without distillation.
"""

import sys

import numpy as np
from distributed_steps import run

from tf_edd.regularizers import SelfDistillation
from tf_edd.runtime.strategy import configure, make_strategy
from tf_edd.spaces import Block, CellSpec, Edge, Space


def small_space():
    operations = ("skip_connect", "nor_conv_1x1")
    cell = CellSpec("cell", 1, 3, (Edge(0, 1, operations), Edge(1, 2, operations)))
    return Space("small", (cell,), (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4)))


if __name__ == "__main__":
    configure(precision=None, logical_cpus=2)
    results = {f"plain/{key}": value for key, value in run(make_strategy("one"), space=small_space()).items()}
    for name in ("one", "mirrored"):
        distillation = SelfDistillation(teachers=2, weight=20.0, warmup_epochs=0)  # enough to be seen in five steps
        found = run(make_strategy(name), distillation, space=small_space())
        results |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez(sys.argv[1], **results)
