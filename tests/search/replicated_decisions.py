"""Program for test_decide.py: searches that decide edges, on one device and on two logical CPUs."""

import sys
from pathlib import Path

from tiny_search import run

from tf_edd.decisions import PerturbationSelection, SequentialGreedy
from tf_edd.runtime.strategy import configure, make_strategy

PARTS = {
    "perturbation": PerturbationSelection("loss", first=1, interval=1),
    "greedy": SequentialGreedy(first=1, interval=1),
}

if __name__ == "__main__":
    configure(precision=None, logical_cpus=2)
    for name in ("one", "mirrored"):
        with make_strategy(name).scope():
            for part in PARTS:
                run(Path(sys.argv[1]) / f"{name}_{part}", epochs=3, decisions=PARTS[part])
