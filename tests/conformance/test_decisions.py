"""Decisions: masks of the space that only ever narrow, the same ones when asked again, and in the end one operation."""

import json

import numpy as np
from conformance.rows import DECISIONS, each, on_every_space
from decisions.views import drifting

from tf_edd.decisions import Decision, View
from tf_edd.discretizers import Argmax

EPOCHS = 40


def views(part, space):
    """What a search shows the part after each of its epochs, with what it answers."""
    rng, probs, memory = np.random.default_rng(0), drifting(space), {}
    slopes = {name: rng.normal(size=shape) for name, shape in space.logit_shapes.items()}

    def evaluate(weights):
        value = sum(np.sum(slopes[name] * table) for name, table in weights.items())
        return float(-value), float(np.tanh(value / 10))

    allowed = {name: np.ones(shape, bool) for name, shape in space.logit_shapes.items()}
    for epoch in range(1, EPOCHS + 1):
        view = View(space, 5, epoch, EPOCHS, probs(epoch), allowed, (), memory, evaluate)
        decision = part(view)
        yield view, decision
        allowed, memory = decision.allowed, decision.memory


@each(DECISIONS)
@on_every_space
def test_masks_narrow_to_one_operation_on_each_edge_of_the_genotype(row, space):
    part = row.build()
    part.check(space, EPOCHS)
    for view, decision in views(part, space):
        assert isinstance(decision, Decision) and all(isinstance(text, str) for text in decision.notes)
        assert json.loads(json.dumps(decision.memory)) == decision.memory
        changed = False
        for name, mask in decision.allowed.items():
            assert mask.shape == space.logit_shapes[name] and mask.dtype == bool
            assert mask is not view.allowed[name] and not (mask & ~view.allowed[name]).any()
            changed |= bool((mask != view.allowed[name]).any())
        assert changed == bool(decision.notes)
        if view.epoch == EPOCHS:
            assert not changed, "an epoch follows the last decision"
    last = {name: mask.astype(np.float32) for name, mask in decision.allowed.items()}
    for cell in space.cells:
        counts = decision.allowed[cell.cell_type].sum(axis=1)
        assert counts.max() == 1
        for node in cell.intermediate_nodes:
            incoming = list(cell.incoming(node))
            assert counts[incoming].sum() == min(len(incoming), cell.edges_per_node or len(incoming))
    genotype = Argmax()(last, space).one_hot(space)
    for name, table in last.items():
        np.testing.assert_array_equal(genotype[name], table)


@each(DECISIONS)
@on_every_space
def test_a_repeated_epoch_is_decided_alike(row, space):
    """By another object, from the view of a checkpoint: masks as they are, and a memory that went through JSON."""
    for view, decision in views(row.build(), space):
        again = View(**{**vars(view), "memory": json.loads(json.dumps(view.memory))})
        repeated = row.build()(again)
        assert repeated.notes == decision.notes and repeated.memory == decision.memory
        for name, mask in decision.allowed.items():
            np.testing.assert_array_equal(repeated.allowed[name], mask)
