"""A step on sampled paths of a small space, what it is built from, and its gradients by other means."""

import keras
import numpy as np
import tensorflow as tf
from tiny_search import method

from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.samplers import UniformImages
from tf_edd.schedules import ConstantTemperature
from tf_edd.spaces import Block, Space, nas_bench_201
from tf_edd.steps import Batch, SampledPaths, StepInfo, StepSetup

CELLS = [Block("cell", 4, cell="cell")] * 2
SPACE = Space("two_cells", nas_bench_201(4, 1).cells, (Block("stem", 4), *CELLS, Block("head", 4)))
RATE, MOMENTUM, DECAY, CLIP = 0.1, 0.9, 1e-2, 0.3
CHOICE = (3, 1, 2, 0, 4, 3)


# Parts of a method that a step without logits does not take.
WITHOUT_LOGITS = {
    "relaxation": None,
    "temperature": ConstantTemperature(),
    "arch_optimizer": None,
    "arch_rate": None,
}


class GivenPaths:
    """Always these paths; remembers what is recorded."""

    importance_weights = False
    variables = ()

    def __init__(self, *choices):
        self.choices = choices

    def build(self, space):
        self.norms = tf.Variable(tf.zeros((6, 5)))
        return self

    def sample(self, seed):
        return [{"cell": tf.constant(np.eye(5)[list(choice)], tf.float32)} for choice in self.choices]

    def record(self, path, norms):
        self.norms.assign(norms["cell"])


class Setup:
    """A step and what it was built from; `paths` and `images` are the running samplers."""

    def __init__(self, paths=None, images=None, space=SPACE, xla=False, supernet=None, optimizer=None, **settings):
        keras.utils.set_random_seed(3)
        self.supernet = supernet or Supernet(space, 3)
        self.supernet.build((None, 8, 8, 3))
        self.optimizer = optimizer or SGD(RATE, MOMENTUM, weight_decay=DECAY)
        self.part = SampledPaths(
            paths or GivenPaths(CHOICE), images or UniformImages(), **{"weight_gradient_clip": CLIP, **settings}
        )
        self.setup = StepSetup(
            self.supernet,
            ArchLogits(space, seed=0),
            method(step=self.part, weight_optimizer=self.optimizer, **WITHOUT_LOGITS),
            train_images=20,
            xla=xla,
        )
        self.build()

    def build(self):
        self.step = self.part.build(self.setup)
        self.paths, self.images = self.step._paths, self.step._images

    @property
    def variables(self):
        return self.supernet.trainable_variables

    def owners(self):
        """Per variable its (edge, operation), or None."""
        found = {id(v): (e, o) for _, e, o, op in self.supernet.candidates() for v in op.trainable_variables}
        return [found.get(id(variable)) for variable in self.variables]


def batch(seed=1, size=8):
    rng = np.random.default_rng(seed)
    images = tf.constant(rng.normal(size=(size, 8, 8, 3)), tf.float32)
    return images, tf.constant(rng.integers(0, 3, size), tf.int32)


def step(setup, data=None, index=0):
    """A step on images, labels and perhaps positions."""
    scalars = setup.step({"weights": Batch(*(data or batch()))}, StepInfo(index))
    return {tag: float(value) for tag, value in scalars.items()}


def loss_and_gradients(supernet, choice, images, labels):
    """With all candidates run, and no function around it."""
    table = tf.constant(np.eye(5)[list(choice)], tf.float32)
    with tf.GradientTape() as tape:
        outputs = supernet(images, {"cell": table}, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True))
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(loss, [v.value for v in supernet.trainable_variables], unconnected_gradients=zero)
    return float(loss), outputs.numpy(), [gradient.numpy() for gradient in gradients]
