"""The noise operation: its distribution, a new draw at every call, repetition from its state, replicas."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.operations import PRIMITIVES

ROOT = Path(__file__).resolve().parents[2]
X = np.full((8, 32, 31, 4), 100.0, np.float32)


def build(seed=0, stride=1):
    keras.utils.set_random_seed(seed)
    operation = PRIMITIVES["noise"].build(4, stride)
    operation.build(X.shape)
    return operation


@pytest.mark.parametrize("training", [True, False])
def test_is_standard_normal_and_new_at_every_call(training):
    operation = build()
    first, second = (operation.call(tf.constant(X), training=training).numpy() for _ in range(2))
    for noise in (first, second):
        assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02 and abs((noise**4).mean() - 3) < 0.2
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_stride_halves_and_scale_multiplies():
    noise = build(stride=2).call(tf.constant(X), tf.constant(0.1))
    assert noise.shape == (8, 16, 16, 4)
    assert abs(noise.numpy().std() - 0.1) < 0.005


def test_is_new_at_every_call_of_a_function_too():
    operation = build()
    function = tf.function(lambda x: operation.call(x))
    draws = [function(tf.constant(X)).numpy() for _ in range(3)]
    assert function.experimental_get_tracing_count() == 1
    assert not np.any(draws[0] == draws[1]) and not np.any(draws[1] == draws[2])


def test_repeats_from_its_seed_and_from_its_state():
    operation, twin = build(3), build(3)
    draws = [operation.call(tf.constant(X)).numpy() for _ in range(3)]
    np.testing.assert_array_equal(draws[0], twin.call(tf.constant(X)))
    other = build(4)
    assert not np.array_equal(draws[0], other.call(tf.constant(X)))
    other.state.assign(twin.state)  # as a checkpoint does
    np.testing.assert_array_equal(draws[1], other.call(tf.constant(X)))


# In a process of its own: TensorFlow takes logical devices only before it is used.
REPLICAS = """
import tensorflow as tf
from tf_edd.networks.drop_path import DropPath
from tf_edd.operations import PRIMITIVES
from tf_edd.runtime.strategy import use_logical_cpus

use_logical_cpus(2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x = tf.ones((64, 4, 4, 2))
with strategy.scope():
    noise, drop = PRIMITIVES["noise"].build(2, 1), DropPath(0)
    noise.build(x.shape)
    drop.build(None)
drop.set(0.5, [1, 2])
step = tf.function(lambda: strategy.run(lambda: (noise.call(x), drop.masks(3, x))))
local = strategy.experimental_local_results
(first, second), (masks, other_masks) = (local(value) for value in step())
again = local(step()[0])[0]
states = [value.numpy().tolist() for value in local(noise.state.value)]
assert not (first.numpy() == second.numpy()).any() and not (first.numpy() == again.numpy()).any()
assert states[0] == states[1] and states[0][1] == 2, states
assert (masks.numpy() != other_masks.numpy()).any()
"""


@pytest.mark.slow
def test_replicas_draw_differently_and_count_alike():
    done = subprocess.run([sys.executable, "-c", REPLICAS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
