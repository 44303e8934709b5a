"""A search that is made up: what decisions see, epoch by epoch."""

import numpy as np

from tf_edd.decisions import View


def run(part, space, epochs, probs, evaluate=None, seed=0):
    """The masks after each epoch, the notes, and the memory; `probs` gives cell type -> [E, O] of an epoch, from 1."""
    allowed = {name: np.ones(shape, bool) for name, shape in space.logit_shapes.items()}
    masks, notes, memory = [], [], {}
    part.check(space, epochs)
    for epoch in range(1, epochs + 1):
        view = View(space, seed, epoch, epochs, probs(epoch), allowed, (), memory, evaluate)
        allowed, told, memory = part(view)
        masks.append({name: mask.copy() for name, mask in allowed.items()})
        notes += [(epoch, text) for text in told]
    return masks, notes, memory


def drifting(space, seed=1, scale=1.0):
    """Softmaxes of logits that walk at random from epoch to epoch, float32."""
    rng = np.random.default_rng(seed)
    starts = {name: rng.normal(size=shape) for name, shape in space.logit_shapes.items()}
    walks = {name: rng.normal(size=(200, *start.shape)) * 0.2 for name, start in starts.items()}

    def probs(epoch):
        tables = {name: scale * (starts[name] + walks[name][:epoch].sum(axis=0)) for name in starts}
        exponents = {name: np.exp(table - table.max(axis=1, keepdims=True)) for name, table in tables.items()}
        return {name: np.float32(e / e.sum(axis=1, keepdims=True)) for name, e in exponents.items()}

    return probs
