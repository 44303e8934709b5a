"""Actions: numbers and files of their own search, the search left alone, and one part for several searches."""

import copy
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.rows import ACTIONS, each
from fake_search import advance, begin, new_state, probabilities, resumed

from tf_edd.actions import RunningAction
from tf_edd.architectures.table import ACCURACIES, NasBench201Table, Table
from tf_edd.discretizers import Argmax
from tf_edd.networks.supernet import Supernet

EPOCHS = 2


@pytest.fixture(autouse=True)
def table(monkeypatch):
    """The accuracies of the cells of a fake search, without a file."""

    def load(self):
        space = new_state("").space
        cells = {epoch: str(Argmax()(probabilities(space, epoch), space)) for epoch in range(1, EPOCHS + 1)}
        rows = {epoch: dict.fromkeys(ACCURACIES, 90.0 + epoch) for epoch in cells}
        distinct = {cell: epoch for epoch, cell in cells.items()}
        return Table({epoch: cell for cell, epoch in distinct.items()}, rows, "fake")

    monkeypatch.setattr(NasBench201Table, "load", load)


def images(size, **_):
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(16, 4, 4, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((pictures, np.arange(16, dtype=np.int32) % 3)).batch(size)


def state_for(row, folder):
    folder.mkdir(parents=True, exist_ok=True)
    state = new_state(folder, row.space(), EPOCHS)
    if row.network:
        keras.utils.set_random_seed(0)
        state.supernet = Supernet(state.space, 3)
        state.supernet.build((None, 4, 4, 3))
        state.batches = SimpleNamespace(valid=SimpleNamespace(size=16, batches=images), batch_size=8)
        rng = np.random.default_rng(1)
        state.logits = {cell_type: rng.normal(size=size) for cell_type, size in state.space.logit_shapes.items()}
    return state


def measured(state) -> list[dict]:
    """What actions have added to the metrics of each epoch."""
    plain = new_state(state.folder, state.space, EPOCHS)
    for _ in state.history:
        advance(plain, [])
    return [
        {tag: value for tag, value in row.items() if tag not in without and tag != "probs"}
        for row, without in zip(state.history, plain.history, strict=True)
    ]


def texts(folder) -> dict[str, bytes]:
    """Name -> content of the files that people and programs read, pictures and event files left out."""
    found = [path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def pictures(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".svg", ".png")}


@each(ACTIONS)
def test_one_part_serves_two_searches_at_once(row, tmp_path):
    part = row.build()
    states = [state_for(row, tmp_path / name) for name in ("first", "second")]
    running = [begin(state, part) for state in states]
    for _ in range(EPOCHS):
        for state, actions in zip(states, running, strict=True):
            advance(state, actions)
    for state, actions in zip(states, running, strict=True):
        assert all(isinstance(action, RunningAction) for action in actions)
        actions[0].end(state)
    first, second = map(measured, states)
    assert first == second and any(first) == row.measures
    assert all(math.isfinite(value) and "/" in tag for added in first for tag, value in added.items())
    assert texts(states[0].folder) == texts(states[1].folder)
    assert pictures(states[0].folder) == pictures(states[1].folder)
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}
    assert part == row.build()


@each(ACTIONS)
def test_the_search_is_left_alone(row, tmp_path):
    state = state_for(row, tmp_path)
    running = begin(state, row.build())
    weights = [] if state.supernet is None else [variable.numpy() for variable in state.supernet.variables]
    for _ in range(EPOCHS):
        advance(state, [])
        kept = ("logits", "probs", "genotype", "epoch", "step", "sums", "temperature", "temperature_state")
        before = {name: copy.deepcopy(getattr(state, name)) for name in kept}
        metrics = {tag: value for tag, value in state.history[-1].items() if isinstance(value, float)}
        running[0].epoch(state, metrics | running[0].measure(state))
        for name, value in before.items():
            np.testing.assert_equal(getattr(state, name), value, err_msg=name)
    for variable, value in zip([] if state.supernet is None else state.supernet.variables, weights, strict=True):
        np.testing.assert_array_equal(variable, value)


@each(ACTIONS)
def test_a_resumed_search_ends_with_the_same_numbers_and_files(row, tmp_path):
    """A kill after the actions of the last epoch, before its checkpoint."""
    whole, broken = state_for(row, tmp_path / "whole"), state_for(row, tmp_path / "broken")
    actions = begin(whole, row.build())
    for _ in range(EPOCHS):
        advance(whole, actions)
    actions[0].end(whole)
    actions = begin(broken, row.build())
    advance(broken, actions)
    saved = copy.deepcopy(broken.state_dict())
    advance(broken, actions)
    again = resumed(saved, broken)
    again.supernet, again.batches, again.logits = broken.supernet, broken.batches, broken.logits
    actions = begin(again, row.build())
    for _ in range(EPOCHS - 1):
        advance(again, actions)
    actions[0].end(again)
    assert texts(again.folder) == texts(whole.folder) and pictures(again.folder) == pictures(whole.folder)
    for one, other in zip(measured(again), measured(whole), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
