"""A few steps of a part on the tiny space, for test_steps.py and for the program replicated_steps.py."""

import keras
import numpy as np
import tensorflow as tf
from conformance.rows import parts_for
from tiny_search import method, tiny_space

from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime.strategy import replica_batches
from tf_edd.steps import StepInfo, StepSetup

BATCH, STEPS, CLASSES = 8, 4, 3
IMAGES = BATCH * STEPS
TEMPERATURES = (1.0, 0.5, 0.5, 0.1)


class Trial:
    """A step and what it moves.

    Args:
        part: The description of the step.
        parts: Others of the method, see `StepRow`.
        strategy: The strategy in scope, if there is one.
        allowed: Cell type -> mask of the allowed candidates; None for a search without decisions.
        changes: Parts of the method.
    """

    def __init__(self, part, parts=None, strategy=None, allowed=None):
        keras.utils.set_random_seed(1)
        self.part, self.strategy = part, strategy or tf.distribute.get_strategy()
        description = method(**parts_for(part, parts or {}))  # made outside of the strategy, as gin and people do
        with self.strategy.scope():
            self.supernet = Supernet(tiny_space(), CLASSES, make_edge=edge_factory(description.edges))
            self.supernet.build((None, 8, 8, 1))
            tables = {"edge_weights": description.edge_weights is not None, "masked": allowed is not None}
            self.logits = ArchLogits(self.supernet.space, seed=0, init_scale=0.5, **tables)
            if allowed is not None:
                self.logits.allow(allowed)
            self.method = description.prepared()
            self.step = part.build(StepSetup(self.supernet, self.logits, self.method, IMAGES))
            for phase, rate in (("weight", 0.1), ("arch", 0.01)):
                if optimizer := getattr(self.method, f"{phase}_optimizer"):
                    optimizer.learning_rate = rate

    def batches(self, epoch=0):
        """Phase -> batch of each step of an epoch, as `SearchBatches.epoch` gives them."""
        order = self.step.image_order(epoch)
        sets = {phase: batches(seed) for seed, phase in enumerate(self.part.phases)}
        if order is not None:
            sets["weights"] = batches(0, order)
        parts = [replica_batches(dataset, self.strategy) for dataset in sets.values()]
        return [dict(zip(sets, batch, strict=True)) for batch in zip(*parts, strict=True)]

    def take(self, phases=None, count=STEPS):
        """The scalars of the first steps."""
        rows = []
        with self.strategy.scope():
            for index, batch in enumerate(self.batches()[:count]):
                info = StepInfo(index, 0, index / STEPS, TEMPERATURES[index], phases or self.part.phases)
                rows.append({tag: float(value) for tag, value in self.step(batch, info).items()})
        return rows

    def values(self):
        """Name -> the numbers that the steps move."""
        moved = {"weights": self.supernet.trainable_variables, **self.step.variables}
        if self.part.learns_logits:
            moved["logits"] = self.logits.variables
        return {name: flat(variables) for name, variables in moved.items()}


def batches(seed, order=None):
    """Batches of images, labels and, in a given order, positions."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(IMAGES, 8, 8, 1)).astype(np.float32), rng.integers(0, CLASSES, IMAGES).astype(np.int32)
    if order is not None:
        columns = (*(column[order] for column in columns), order)
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(columns).batch(BATCH).with_options(options)


def flat(variables):
    return np.concatenate([np.ravel(np.asarray(variable)) for variable in variables] or [np.zeros(0)])
