"""A search without a network: the state that actions see, walked through epochs with known numbers."""

import numpy as np

from tf_edd.actions.search_state import SearchState
from tf_edd.discretizers import Argmax
from tf_edd.relaxations import BoundRelaxation, Softmax
from tf_edd.spaces.nas_bench_201 import PRIMITIVES, nas_bench_201
from tf_edd.spaces.space import CellSpec, Edge, Space

CONFIG = """
# Parameters for search:
# ==============================================================================
search.epochs = %epochs
epochs = 3
"""
RECORD = {
    "seed": 7,
    "epochs": 3,
    "split": [0.5, 0.5],
    "method": {
        "@": "Method",
        "arch_rate": None,
        "discretizer": {"@": "Argmax"},
        "weight_optimizer": {"@": "SGD", "nesterov": False, "momentum": 0.9},
    },
    "data": {"@": "Digits", "listing": "x" * 201},
}
STEPS = 10


def new_state(folder, space=None, epochs=3) -> SearchState:
    space = space or nas_bench_201()
    settings = {"record": RECORD, "config": CONFIG, "relaxation": BoundRelaxation(Softmax(), space=space)}
    return SearchState(folder, space, epochs=epochs, seed=7, **settings)


def two_kinds() -> Space:
    edges = tuple(Edge(source, 2, PRIMITIVES[1:]) for source in range(2))
    cells = tuple(CellSpec(cell_type, 2, 3, edges, output="concat") for cell_type in ("normal", "reduce"))
    return Space("two_kinds", cells, ())


def probabilities(space: Space, epoch: int) -> dict[str, np.ndarray]:
    """Softmax of fixed logits that grow with the epoch."""
    rng = np.random.default_rng(3)
    logits = {cell_type: epoch * rng.standard_normal(shape) for cell_type, shape in space.logit_shapes.items()}
    exponents = {cell_type: np.exp(value) for cell_type, value in logits.items()}
    return {
        cell_type: (value / value.sum(1, keepdims=True)).astype(np.float32) for cell_type, value in exponents.items()
    }


def metrics_at(epoch: int) -> dict[str, float]:
    return {
        "loss/weights": 2.0 / epoch,
        "loss/valid": 2.5 / epoch,
        "accuracy/valid": 0.1 * epoch,
        "accuracy/discretized": 0.09 * epoch,
        "arch/entropy": 1.6 / epoch,
        "arch/temperature": 1.0 / epoch,
    }


def begin(state: SearchState, *actions) -> list:
    """The running actions, as `search` calls them."""
    return [action.begin(state) for action in actions]


def advance(state: SearchState, running, probs=None) -> None:
    """One epoch as `search` does it."""
    state.epoch, state.step = state.epoch + 1, state.step + STEPS
    state.probs = probs or probabilities(state.space, state.epoch)
    state.genotype = Argmax()(state.probs, state.space)
    metrics = metrics_at(state.epoch)
    state.history.append({"epoch": state.epoch, "genotype": str(state.genotype), **metrics})
    for action in running:
        measured = action.measure(state)
        metrics.update(measured)
        state.history[-1].update(measured)
    for action in running:
        action.epoch(state, metrics)


def resumed(saved: dict, state: SearchState) -> SearchState:
    """A new process's state after it has read a checkpoint."""
    fresh = new_state(state.folder, state.space, state.epochs)
    fresh.load_state_dict(saved)
    return fresh


def one_hot(choices) -> dict[str, np.ndarray]:
    return {"cell": np.eye(5, dtype=np.float32)[list(choices)]}
