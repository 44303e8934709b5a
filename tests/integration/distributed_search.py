"""Program for test_distribution.py: `launch.search` that also saves, in every worker, what it ends with.

The environment variable RESULT names the .npy file: the logits, or the weights where there are none. With CHIEF_LEAVES
the chief then ends without a word, while the others compute on.
"""

import dataclasses
import os

import gin
import numpy as np
import tensorflow as tf

from launch import common
from launch import search as program
from tf_edd.runtime.strategy import current
from tf_edd.spaces import Block

kept = []


@gin.configurable(module="tests")
def one_cell(space):
    """The space without its stages behind the first cell."""
    stem, cell, *_ = space.blocks
    return dataclasses.replace(space, blocks=(stem, cell, Block("head", cell.channels)))


@gin.configurable(module="tests")
@dataclasses.dataclass(frozen=True)
class Kept:
    """A step part that keeps the supernet and the logits that it is built with."""

    step: object

    @property
    def phases(self):
        return self.step.phases

    @property
    def takes(self):
        return self.step.takes

    @property
    def learns_logits(self):
        return self.step.learns_logits

    def check(self, space, batches):
        self.step.check(space, batches)

    def build(self, setup):
        kept.append(setup)
        return self.step.build(setup)


def result():
    (setup,) = kept
    if setup.method.step.learns_logits:
        return setup.logits.numpy()["cell"]
    return np.concatenate([np.ravel(value) for value in setup.supernet.trainable_variables])


def main():
    program.main()
    np.save(os.environ["RESULT"], result())
    if "CHIEF_LEAVES" in os.environ:
        compute_on()


def compute_on():
    strategy = current().strategy
    if current().chief:
        os._exit(9)
    total = tf.function(lambda: strategy.reduce("SUM", strategy.run(lambda: tf.ones(())), axis=None))
    while total() > 0:
        pass


if __name__ == "__main__":
    common.launch(main, required=("model_dir",), resumable=True)
