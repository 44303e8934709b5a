"""The table of operations: counts against built layers, foreign rows, and that reading it loads no TensorFlow."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_edd.analysis import palette
from tf_edd.analysis.counting import count_supernet
from tf_edd.errors import UserError
from tf_edd.networks.mixed_op import MixedOp
from tf_edd.networks.supernet import Supernet
from tf_edd.operations import PRIMITIVES, Primitive, find
from tf_edd.operations.costs import Cost, Counts, Maps, free
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.operations.simple import Identity
from tf_edd.spaces import Block, CellSpec, Edge, Space

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_parameters_and_maps_equal_those_of_the_layer(name, stride, affine):
    source, out = Maps(7, 6, 4), Maps(7, 6, 4).after(4, stride)
    primitive = PRIMITIVES[name]
    layer = primitive.build(4, stride, affine=affine, running_statistics=False, name=name)
    layer.build((None, 7, 6, 4))
    expected = primitive.cost.at(stride).counts(source, out, affine).parameters
    assert sum(int(np.prod(variable.shape)) for variable in layer.trainable_variables) == expected
    assert layer.compute_output_shape((None, 7, 6, 4)) == (None, out.height, out.width, 4) and layer.name == name


@pytest.mark.parametrize("name", PRIMITIVES)
def test_preparations_are_known(name):
    for stride in (1, 2):
        assert PRIMITIVES[name].build(4, stride).preparation in PREPARATIONS


def test_normalized_poolings_are_prepared():
    norm = {"affine": False, "running_statistics": False}
    for name in (name for name, primitive in PRIMITIVES.items() if primitive.pooling):
        for stride in (1, 2):
            operation = PRIMITIVES[name].build(4, stride, pool_norm=True, **norm)
            assert operation.preparation.endswith("_norm") and operation.preparation in PREPARATIONS


def test_a_row_without_a_field_is_refused_at_once():
    fields = {"build": Identity, "cost": free(), "family": "attention", "label": "attention"}
    for name in fields:
        with pytest.raises(TypeError, match=name):
            Primitive(**{key: value for key, value in fields.items() if key != name})
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRIMITIVES["none"].label = "other"


def test_a_foreign_operation_is_one_row(monkeypatch):
    cost = Cost(lambda source, out, affine: Counts(7, 11), kept=1)
    monkeypatch.setitem(PRIMITIVES, "attention", Primitive(Identity, cost, "attention", "attn"))
    cell = CellSpec("cell", 1, 2, (Edge(0, 1, ("attention", "none")),))
    space = Space("foreign", (cell,), (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4)))
    supernet = Supernet(space, 3)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    assert supernet(images, {"cell": tf.constant([[0.5, 0.5]])}, training=True).shape == (2, 3)
    skip = dataclasses.replace(space, cells=(dataclasses.replace(cell, edges=(Edge(0, 1, ("skip_connect", "none")),)),))
    assert count_supernet(space, (8, 8, 3), 3) == count_supernet(skip, (8, 8, 3), 3) + Counts(7, 11)
    assert palette.label("attention") == "attn" and palette.color("attention") == palette.OTHER


def test_an_unknown_operation_is_named():
    with pytest.raises(UserError, match="Received: 'mystery'"):
        find("mystery")
    with pytest.raises(UserError, match="Received: 'mystery'"):
        MixedOp(("none", "mystery"), 4)


def test_counts_and_drawings_load_no_tensorflow():
    modules = "tf_edd.analysis.counting, tf_edd.analysis.chain_drawing, tf_edd.networks.check_images"
    code = f"import sys, {modules}; assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
