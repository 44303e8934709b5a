"""Program for test_steps.py: some steps of every row on one device and on two, in a process with two logical CPUs.

Writes what both reach into an .npz file: keys `<strategy>/<row>/<name>`.
"""

import sys

import numpy as np
from conformance.rows import STEPS, decidable
from conformance.some_steps import Trial

from tf_edd.runtime.strategy import configure, make_strategy


def run(strategy) -> dict:
    results = {"replicas": strategy.num_replicas_in_sync}
    decided = {"cell": [[True, False], [True, True]]}
    trials = [(str(place), row, {}) for place, row in enumerate(STEPS)]
    trials += [(f"decided/{place}", row, {"allowed": decided}) for place, row, _ in trials if decidable(row)]
    for place, row, mask in trials:
        trial = Trial(row.build(), row.parts, strategy, **mask)
        start = trial.values()
        scalars = trial.take()
        found = {f"start/{name}": values for name, values in start.items()} | trial.values()
        found |= {f"scalars/{tag}": [values[tag] for values in scalars] for tag in scalars[0]}
        results |= {f"{place}/{name}": values for name, values in found.items()}
    return results


if __name__ == "__main__":
    configure(precision=None, logical_cpus=2)
    everything = {}
    for name in ("one", "mirrored"):
        everything |= {f"{name}/{key}": value for key, value in run(make_strategy(name)).items()}
    np.savez(sys.argv[1], **everything)
