"""Program for test_distribution.py: as distributed_steps.py, with self-distillation from the first step on."""

import sys

import numpy as np
from distributed_steps import run

from tf_edd.regularizers import self_distillation
from tf_edd.runtime.strategy import disable_meta_optimizer, use_logical_cpus

if __name__ == "__main__":
    use_logical_cpus(2)
    disable_meta_optimizer()
    results = {}
    for name in ("one", "mirrored"):
        distillation = self_distillation(teachers=2, weight=20.0, warm_up_epochs=0)  # enough to be seen in five steps
        results |= {f"{name}/{key}": value for key, value in run(name, distillation).items()}
    np.savez(sys.argv[1], **results)
