"""Regularizers: scalars of their phases in one trace, and a state that lies on the host and moves with the steps."""

import math

import keras
import numpy as np
import tensorflow as tf
from conformance.rows import REGULARIZERS, each
from tiny_search import method, tiny_space

from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.regularizers import Regularizer, Term
from tf_edd.steps import Batch, FirstOrder, StepInfo, StepSetup

IMAGES = tf.constant(np.random.default_rng(0).normal(size=(4, 4, 4, 3)), tf.float32)
BATCH = Batch(IMAGES, tf.constant([0, 1, 2, 0]))


class Watched(Regularizer):
    """Passes everything on, and remembers the phase and the value of each call."""

    def __init__(self, part):
        self.part, self.phases, self.seen = part, part.phases, []

    def active(self, epoch):
        return self.part.active(epoch)

    def build(self, *arguments):
        return WatchedTerm(self.part.build(*arguments), self.seen)


class WatchedTerm(Term):
    def __init__(self, term, seen):
        self.term, self.seen, self.variables = term, seen, term.variables
        self.begin_step, self.tensors = term.begin_step, term.tensors

    def __call__(self, context):
        self.seen.append((context.phase, self.term(context)))
        return self.seen[-1][1]


def searching(regularizer, relaxation, steps=4):
    """A step of a small search, and the scalars of some steps of two epochs."""
    keras.utils.set_random_seed(0)
    supernet = Supernet(tiny_space(), 3)
    supernet.build((None, 4, 4, 3))
    optimizers = {"weight_optimizer": SGD(0.1, weight_decay=0.0), "arch_optimizer": SGD(0.1, weight_decay=0.0)}
    part = FirstOrder(weight_gradient_clip=None)
    parts = method(step=part, relaxation=relaxation, regularizers=(regularizer,), **optimizers)
    step = part.build(StepSetup(supernet, ArchLogits(supernet.space, seed=0), parts))
    both = {"weights": BATCH, "arch": BATCH}
    scalars = [step(both, StepInfo(index, epoch=index // 2)) for index in range(steps)]
    return step, [{tag: float(value) for tag, value in row.items()} for row in scalars]


@each(REGULARIZERS)
def test_terms_are_scalars_of_their_phases_traced_once(row):
    watched = Watched(row.build())
    _, scalars = searching(watched, row.relaxation())
    phases = [phase for phase in ("weights", "arch") if phase in watched.phases]
    assert [phase for phase, _ in watched.seen] == phases != []
    assert all(term.dtype == tf.float32 and term.shape == () for _, term in watched.seen)
    assert all(math.isfinite(value) for row in scalars for value in row.values())


@each(REGULARIZERS)
def test_a_state_is_on_the_host_and_moves_with_the_steps_of_its_own_search(row):
    part = row.build()  # one part serves three searches
    steps = [searching(part, row.relaxation(), count)[0] for count in (3, 3, 4)]
    states = [step.variables.get("regularizers", []) for step in steps]
    first, again, later = ([variable.numpy() for variable in variables] for variables in states)
    assert bool(first) == row.stateful and all("CPU" in variable.device for variable in states[0])
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert any(not np.array_equal(*pair) for pair in zip(first, later, strict=True)) == row.stateful
