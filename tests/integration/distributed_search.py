"""Program for test_distribution.py: `launch.search` that also saves, in every worker, what it ends with.

The environment variable RESULT names the .npy file: the logits, or the weights where there are none.
"""

import os

import gin
import numpy as np
from tiny_search import two_stages

from launch import common
from launch import search as program

gin.external_configurable(two_stages, module="tests")
kept = []


@gin.configurable(module="tests")
def keep_logits(*args, bilevel=gin.REQUIRED, **kwargs):
    kept.append(lambda: args[1].numpy()["cell"])
    return bilevel(*args, **kwargs)


class KeepWeights:
    """A builder of steps without logits."""

    def __init__(self, builder):
        self._builder, self.phases, self.check = builder, builder.phases, builder.check

    def __call__(self, supernet, *args, **kwargs):
        kept.append(lambda: np.concatenate([np.ravel(value) for value in supernet.trainable_variables]))
        return self._builder(supernet, *args, **kwargs)


@gin.configurable(module="tests")
def keep_weights(bilevel=gin.REQUIRED):
    return KeepWeights(bilevel)


def main():
    program.main()
    np.save(os.environ["RESULT"], kept[0]())


if __name__ == "__main__":
    common.launch(main, required=("model_dir",))
