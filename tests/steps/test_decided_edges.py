"""A decided edge costs one operation: what a mask has closed does not run, in no phase of a step."""

import numpy as np
import pytest
import tensorflow as tf
from conformance.some_steps import STEPS, Trial

from tf_edd.networks import supernet
from tf_edd.regularizers import SelfDistillation
from tf_edd.steps import EpochInfo, FirstOrder

DECIDED = {"cell": [[True, False], [True, True]]}


class Runs:
    """Counts the runs of the candidates 1x1 convolution and skip connection, of all edges that call them."""

    def __init__(self, network):
        self.counts = {"skip_connect": tf.Variable(0), "nor_conv_1x1": tf.Variable(0)}
        for _, _, _, op in network.candidates():
            op.call = self._counted(op.call, self.counts[op.name])

    def _counted(self, call, count):
        def run(x, scale=None, training=False):
            with tf.control_dependencies([count.assign_add(1)]):
                return call(x, scale, training)

        return run

    def read(self):
        return {name: int(count.numpy()) for name, count in self.counts.items()}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("skip", [False, "auto", True])
def test_what_is_closed_does_not_run(skip, shared, monkeypatch):
    """Two edges, two phases a step; the first has decided for the skip connection."""
    if shared:
        monkeypatch.setattr(supernet, "SHARED_FROM", 1)
    trial = Trial(FirstOrder(skip_unused=skip), allowed={"cell": np.ones((2, 2), bool)})
    runs, everything = Runs(trial.supernet), 2 * 2 * STEPS
    trial.take()
    assert runs.read() == {"skip_connect": everything, "nor_conv_1x1": everything}
    trial.logits.allow(DECIDED)
    trial.step.end_epoch(EpochInfo(0, 4, STEPS, 0, None))
    trial.take()
    assert runs.read() == {"skip_connect": 2 * everything, "nor_conv_1x1": everything + everything // 2}


def test_a_teacher_leaves_out_what_was_closed_since():
    """Every pass of student and teacher runs two skip connections, and one convolution."""
    teachers = (SelfDistillation(warmup_epochs=0),)
    trial = Trial(FirstOrder(), {"regularizers": teachers}, allowed={"cell": np.ones((2, 2), bool)})
    trial.take(count=2)
    trial.logits.allow(DECIDED)
    trial.step.end_epoch(EpochInfo(0, 4, 2, 0, None))
    runs = Runs(trial.supernet)
    trial.take()
    counts = runs.read()
    assert counts == {"skip_connect": 2 * 2 * 2 * STEPS, "nor_conv_1x1": 2 * 2 * STEPS}


def test_without_decisions_the_step_keeps_no_more_than_before():
    """Checkpoints of methods without decisions have the variables that they had."""
    assert Trial(FirstOrder()).step.variables == {}
    assert set(Trial(FirstOrder(), allowed=DECIDED).step.variables) == {"skips"}
