"""A search without a network: the state that actions see, walked through epochs with known numbers."""

import numpy as np

from tf_edd.actions.search_state import SearchState
from tf_edd.discretizers.discretizers import argmax
from tf_edd.relaxations.relaxations import softmax
from tf_edd.spaces.nas_bench_201 import PRIMITIVES, nas_bench_201
from tf_edd.spaces.space import CellSpec, Edge, Space

CONFIG = """
# Parameters for search:
# ==============================================================================
search.epochs = %epochs
epochs = 3
search.discretizer = @argmax()
search.train = 0.5
search.augmentation = \\
    [@crop(),
     @flip()]
weights/sgd.nesterov = False
"""
STEPS = 10


def new_state(folder, space=None, epochs=3) -> SearchState:
    relaxation = softmax()
    return SearchState(folder, space or nas_bench_201(), epochs=epochs, seed=7, config=CONFIG, relaxation=relaxation)


def two_kinds() -> Space:
    edges = tuple(Edge(source, 2, PRIMITIVES[1:]) for source in range(2))
    cells = tuple(CellSpec(kind, 2, 3, edges, output="concat") for kind in ("normal", "reduce"))
    return Space("two_kinds", cells, ())


def probabilities(space: Space, epoch: int) -> dict[str, np.ndarray]:
    """Softmax of fixed logits that grow with the epoch."""
    rng = np.random.default_rng(3)
    logits = {kind: epoch * rng.standard_normal(shape) for kind, shape in space.logit_shapes.items()}
    exponents = {kind: np.exp(value) for kind, value in logits.items()}
    return {kind: (value / value.sum(1, keepdims=True)).astype(np.float32) for kind, value in exponents.items()}


def metrics_at(epoch: int) -> dict[str, float]:
    return {
        "loss/weights": 2.0 / epoch,
        "loss/valid": 2.5 / epoch,
        "accuracy/valid": 0.1 * epoch,
        "accuracy/discretized": 0.09 * epoch,
        "arch/entropy": 1.6 / epoch,
        "arch/temperature": 1.0 / epoch,
    }


def advance(state: SearchState, actions, probs=None) -> None:
    """One epoch as `search` does it."""
    state.epoch, state.step = state.epoch + 1, state.step + STEPS
    state.probs = probs or probabilities(state.space, state.epoch)
    state.genotype = argmax()(state.probs, state.space)
    metrics = metrics_at(state.epoch)
    state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
    for action in actions:
        action.epoch(state, metrics)


def resumed(saved: dict, state: SearchState) -> SearchState:
    """A new process's state after it has read a checkpoint."""
    fresh = new_state(state.model_dir, state.space, state.epochs)
    fresh.load_state_dict(saved)
    return fresh


def one_hot(choices) -> dict[str, np.ndarray]:
    return {"cell": np.eye(5, dtype=np.float32)[list(choices)]}
