"""Optimizers: configuration, state, the rate, and what they can do beyond Keras' interface."""

import json

import numpy as np
import tensorflow as tf
from conformance.rows import OPTIMIZERS, each

from tf_edd.optimizers import LooksAhead, Selective

SHAPES = ((3, 2), (4,), ())


class Problem:
    """Some variables and gradients, and an optimizer that was built for them."""

    def __init__(self, optimizer):
        rng = np.random.default_rng(0)
        self.variables = [tf.Variable(rng.normal(size=shape), dtype=tf.float32) for shape in SHAPES]
        self.optimizer = optimizer
        optimizer.build(self.variables)

    def gradients(self, step):
        rng = np.random.default_rng(step + 1)
        return [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]

    def step(self, number):
        self.optimizer.apply(self.gradients(number), self.variables)

    def values(self):
        return [variable.numpy() for variable in self.variables]

    def state(self):
        return [np.array(variable) for variable in self.optimizer.variables]


def equal(first, second) -> bool:
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


@each(OPTIMIZERS)
def test_a_copy_from_the_configuration_makes_the_same_updates(row):
    problem = Problem(row.build())
    config = json.loads(json.dumps(problem.optimizer.get_config()))
    again = Problem(type(problem.optimizer).from_config(config))
    start = problem.values()
    for number in range(3):
        problem.step(number)
        again.step(number)
    assert equal(problem.values(), again.values()) and not equal(problem.values(), start)


@each(OPTIMIZERS)
def test_what_an_optimizer_knows_lies_in_its_variables(row):
    problem, again = Problem(row.build()), Problem(row.build())
    for number in range(2):
        problem.step(number)
    for target, source in zip(again.optimizer.variables, problem.optimizer.variables, strict=True):
        target.assign(source)
    for target, source in zip(again.variables, problem.variables, strict=True):
        target.assign(source)
    problem.step(2)
    again.step(2)
    assert equal(problem.values(), again.values()) and equal(problem.state(), again.state())


@each(OPTIMIZERS)
def test_at_a_rate_of_zero_nothing_moves(row):
    problem = Problem(row.build())
    before = problem.values()
    problem.optimizer.learning_rate = 0.0
    problem.step(0)
    assert equal(problem.values(), before)


@each(OPTIMIZERS)
def test_one_trace_when_the_rate_changes(row):
    problem, again = Problem(row.build()), Problem(row.build())
    compiled = tf.function(lambda gradients: problem.optimizer.apply(gradients, problem.variables))
    for number, rate in enumerate((0.1, 0.01)):
        problem.optimizer.learning_rate = again.optimizer.learning_rate = rate
        compiled(problem.gradients(number))
        again.step(number)
    assert compiled.experimental_get_tracing_count() == 1
    for inside, outside in zip(problem.values(), again.values(), strict=True):
        np.testing.assert_allclose(inside, outside, rtol=1e-6, atol=1e-7)


@each(OPTIMIZERS)
def test_weight_decay_joins_the_gradient(row):
    decayed = Problem(row.build())
    config = decayed.optimizer.get_config()
    plain = Problem(type(decayed.optimizer).from_config({**config, "weight_decay": 0.0}))
    for number in range(3):
        added = [config["weight_decay"] * variable for variable in plain.variables]
        both = [g + more for g, more in zip(plain.gradients(number), added, strict=True)]
        plain.optimizer.apply(both, plain.variables)
        decayed.step(number)
    for one, other in zip(plain.values(), decayed.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@each(OPTIMIZERS)
def test_an_update_that_is_foreseen_is_the_one_that_is_made(row):
    problem = Problem(row.build())
    assert isinstance(problem.optimizer, LooksAhead) == row.looks_ahead
    if not row.looks_ahead:
        return
    for number in range(3):
        before, state = problem.values(), problem.state()
        ahead = problem.optimizer.values_after(problem.gradients(number), problem.variables)
        assert equal(problem.values(), before) and equal(problem.state(), state)
        problem.step(number)
        for one, other in zip(ahead, problem.values(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@each(OPTIMIZERS)
def test_variables_that_are_left_out_keep_their_values_and_slots(row):
    problem, again = Problem(row.build()), Problem(row.build())
    assert isinstance(problem.optimizer, Selective) == row.selective
    if not row.selective:
        return
    for one in (problem, again):
        one.step(0)
    before, state = problem.values(), problem.state()
    with problem.optimizer.only([tf.constant(True), tf.constant(False), None]):
        problem.step(1)
    again.step(1)
    assert [np.array_equal(*pair) for pair in zip(problem.values(), before, strict=True)] == [False, True, False]
    assert [np.array_equal(*pair) for pair in zip(problem.values(), again.values(), strict=True)] == [True, False, True]
    changed = {np.shape(old): not np.array_equal(old, new) for old, new in zip(state, problem.state(), strict=True)}
    assert not changed[SHAPES[1]]
