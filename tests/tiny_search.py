"""The smallest search that has everything: two edges, two operations each, four channels, a few digits."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_edd import data
from tf_edd.actions import Action, GenotypeLog
from tf_edd.optimizers import SGD, Adam
from tf_edd.relaxations import SparseNoisySoftmax
from tf_edd.runtime import files
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.schedules import ConstantRate, CosineRate, EntropyDecay
from tf_edd.search.method import Method
from tf_edd.search.search import search
from tf_edd.spaces import Block, CellSpec, Edge, Space, darts
from tf_edd.steps import FirstOrder

EPOCHS, STEPS, BATCH = 3, 4, 16
NOISY = ("noise", "sep_conv_3x3")


def tiny_space() -> Space:
    operations = ("skip_connect", "nor_conv_1x1")
    cell = CellSpec("cell", 1, 3, (Edge(0, 1, operations), Edge(1, 2, operations)))
    return Space("tiny", (cell,), (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4)))


def noisy_space() -> Space:
    """S4 with one node a cell: a normal and two reduction cells, of two edges each."""
    return dataclasses.replace(with_candidates(darts(4, 3, 1), NOISY), name="noisy")


def with_candidates(space, primitives) -> Space:
    """The space with these candidates on every edge."""
    cells = [
        dataclasses.replace(cell, edges=tuple(dataclasses.replace(edge, primitives=primitives) for edge in cell.edges))
        for cell in space.cells
    ]
    return dataclasses.replace(space, cells=tuple(cells))


def two_stages(space):
    """NAS-Bench-201 with one cell a stage, without the third stage."""
    stem, *stages, _ = space.blocks
    return dataclasses.replace(space, blocks=(stem, *stages[:3], Block("head", stages[2].channels)))


def at_once(dataset):
    """The data set without the thread that tunes it, for which a finished iterator waits."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def method(**changes) -> Method:
    """EDD-DARTS with small numbers; `changes` replace parts."""
    parts = {
        "step": FirstOrder(),
        "relaxation": SparseNoisySoftmax(),
        "temperature": EntropyDecay(),
        "weight_optimizer": SGD(),
        "arch_optimizer": Adam(),
        "weight_rate": CosineRate(base=0.1, epochs=EPOCHS),
        "arch_rate": ConstantRate(value=1e-2),
    }
    return Method(**{**parts, **changes})


_METHOD = {field.name for field in dataclasses.fields(Method)}


def run(folder, **changes):
    """`search` with small parts; `changes` replace arguments, and parts of the method."""
    parts = {"weight_rate": CosineRate(base=0.1, epochs=changes.get("epochs", EPOCHS))}
    parts |= {name: value for name, value in changes.items() if name in _METHOD}
    arguments = {
        "space": tiny_space(),
        "data": data.Digits(),
        "method": method(**parts),
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "split": (STEPS * BATCH, STEPS * BATCH),
        "augmentation": (data.Crop(padding=1),),
        "actions": (GenotypeLog(),),
        "seed": 3,
    }
    return search(folder, **{**arguments, **{name: value for name, value in changes.items() if name not in parts}})


def outcome(model_dir) -> dict:
    """What a repeated search must have in common to the bit; times and speeds are left out."""
    history = files.read_lines(model_dir / "search" / "genotypes.jsonl")
    return {
        "history": [{tag: value for tag, value in row.items() if not tag.startswith("speed/")} for row in history],
        "genotype": files.read_json(model_dir / "search" / "genotype.json"),
        "variables": checkpointed(model_dir / "search"),
    }


def checkpointed(folder) -> dict[str, bytes]:
    """Name -> bytes of every variable of the newest checkpoint: weights, logits, slots of both optimizers."""
    prefix = tf.train.latest_checkpoint(str(folder))
    names = [name for name, _ in tf.train.list_variables(prefix) if "OBJECT_GRAPH" not in name]
    values = {name: np.asarray(tf.train.load_variable(prefix, name)) for name in names if "python_state" not in name}
    assert any(name.startswith("logits/") for name in values) and any(name.startswith("supernet/") for name in values)
    return {name: value.tobytes() for name, value in values.items()}


class Stop(Exception):
    """Stands for a kill."""


class StopAt(Action):
    """An action that stops the search at a named moment of an epoch."""

    def __init__(self, moment, epoch=0):
        self._moment, self._epoch = moment, epoch

    def begin(self, state):
        self._stop("begin", state)
        return self

    def epoch(self, state, metrics):
        self._stop("epoch", state)

    def end(self, state):
        self._stop("end", state)

    def _stop(self, moment, state):
        if moment == self._moment and state.epoch == self._epoch:
            raise Stop


def stop_at_save(monkeypatch, count, after):
    """Makes the `count`-th checkpoint from now fail before or after it is written."""
    original, saves = Checkpointer.save, []

    def save(self, step):
        saves.append(step)
        if len(saves) == count and not after:
            raise Stop
        original(self, step)
        if len(saves) == count:
            raise Stop

    monkeypatch.setattr(Checkpointer, "save", save)
