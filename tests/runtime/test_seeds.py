"""tf_edd.runtime.seeds: repeatable random numbers."""

import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from tf_edd.runtime import seeds


def value(*args, **kwargs):
    return tuple(seeds.step_seed(*args, **kwargs).numpy())


def test_every_seed_step_stream_and_replica_has_its_own():
    found = {
        value(seed, step, stream, replica)
        for seed in (0, 1, 2**31, 2**32 - 1)
        for step in (0, 1, 10_000)
        for stream in ("relaxation", "augment")
        for replica in (None, 0, 1)
    }
    assert len(found) == 4 * 3 * 2 * 3


def test_shape_and_type_inside_a_function_with_one_trace():
    function = tf.function(lambda step: seeds.step_seed(7, step, "noise"))
    results = [tuple(function(tf.constant(step, tf.int64)).numpy()) for step in (5, 6)]
    assert results == [value(7, 5, "noise"), value(7, 6, "noise")]
    assert function.experimental_get_tracing_count() == 1
    assert seeds.step_seed(7, 5, "noise").dtype == tf.int32 and seeds.step_seed(7, 5, "noise").shape == [2]


def test_another_process_gives_the_same():
    code = "from tf_edd.runtime import seeds; print(*seeds.step_seed(3, 4, 'noise', 1).numpy())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert tuple(map(int, output.split())) == value(3, 4, "noise", 1)


def test_noise_of_consecutive_steps_is_uncorrelated_and_normal():
    draws = np.stack([tf.random.stateless_normal([500], seeds.step_seed(0, step, "noise")) for step in range(40)])
    correlations = np.corrcoef(draws)[np.triu_indices(40, 1)]
    assert abs(correlations).max() < 5 / np.sqrt(500)  # five standard deviations, 780 pairs
    assert abs(draws.mean()) < 5 / np.sqrt(draws.size) and abs(draws.std() - 1) < 0.03


def test_set_seed_repeats_python_numpy_and_tensorflow():
    def draw():
        seeds.set_seed(11)
        initial = keras.initializers.RandomUniform()([]).numpy()  # its seed is a number of Python's generator
        return float(np.random.rand()), float(tf.random.uniform([])), initial

    assert draw() == draw()


def test_one_replica_draws_by_the_seed_itself():  # two of them: tests/operations/test_noise.py
    seed = tf.constant([3, 4], tf.int64)
    np.testing.assert_array_equal(seeds.replica_seed(seed), seed)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    np.testing.assert_array_equal(strategy.run(seeds.replica_seed, args=(seed,)), seed)
