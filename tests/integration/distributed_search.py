"""Program for test_distribution.py: `launch.search` that also saves, in every worker, the logits it ends with.

The environment variable LOGITS names the .npy file.
"""

import os

import gin
import numpy as np

from launch import common
from launch import search as program

kept = []


@gin.configurable(module="tests")
def keep_logits(*args, bilevel=gin.REQUIRED, **kwargs):
    kept.append(args[1])
    return bilevel(*args, **kwargs)


def main():
    program.main()
    np.save(os.environ["LOGITS"], kept[0].numpy()["cell"])


if __name__ == "__main__":
    common.launch(main, required=("model_dir",))
