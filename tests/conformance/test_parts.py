"""Every part x the properties that its family promises. A new part joins by one row; a new promise by one test.

A row names the part and builds it. Each family below is a table followed by its properties.
"""

import dataclasses
import json
import math
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_search import tiny_space

from tf_edd import operations, samplers, spaces
from tf_edd.analysis.counting import count_supernet
from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import ArchLogits
from tf_edd.discretizers import discretizers
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers.optimizers import SGD
from tf_edd.regularizers import regularizers
from tf_edd.relaxations import relaxations
from tf_edd.schedules import temperature
from tf_edd.selectors import evolution
from tf_edd.spaces import CellSpec, Edge, Space
from tf_edd.steps.first_order import Bilevel


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    build: Callable


def each(rows):
    """Runs a test for every row, under the names of the rows."""
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


# ---------------------------------------------------------------------------------------------------------- relaxations

RELAXATIONS = [
    Row("softmax", relaxations.softmax),
    Row("sn-softmax, st = 1", relaxations.sparse_noisy_softmax),
    Row("sn-softmax, st = 0.1", lambda: relaxations.sparse_noisy_softmax(smooth_temperature=0.1)),
    Row("sn-softmax, s = 100", lambda: relaxations.sparse_noisy_softmax(smooth_scale=100)),
]
TEMPERATURES = (1.0, 1e-2, 1e-4)
SEED = tf.constant([3, 4])


def arch_logits(scale=1e-2, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(scale=scale, size=(6, 5)), tf.float32)


def probs_and_gradient(relaxation, logits, t, upstream):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = relaxation(logits, t, SEED)
    return probs, tape.gradient(probs, logits, output_gradients=upstream)


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_rows_are_distributions(row, t):
    relaxation = row.build()
    for probs in (relaxation(arch_logits(), tf.constant(t), SEED), relaxation.mean(arch_logits(), tf.constant(t))):
        assert probs.shape == (6, 5) and probs.dtype == tf.float32
        assert np.min(probs) >= 0
        np.testing.assert_allclose(np.sum(probs, axis=1), 1, atol=2e-6)


@each(RELAXATIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_gradients_are_finite_at_a_tiny_temperature(row, scale):
    _, slope = probs_and_gradient(row.build(), arch_logits(scale), tf.constant(1e-4), arch_logits(1.0, seed=1))
    assert np.isfinite(slope).all()


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_gradient_rows_sum_to_zero(row, t):
    _, slope = probs_and_gradient(row.build(), arch_logits(3 * t), tf.constant(t), arch_logits(1.0, seed=1))
    assert np.abs(slope).max() > 0
    np.testing.assert_allclose(np.sum(slope, axis=1) / np.abs(slope).max(), 0, atol=1e-5)


@each(RELAXATIONS)
def test_one_trace_when_the_temperature_changes(row):
    compiled = tf.function(row.build())
    results = [compiled(arch_logits(), tf.constant(t), SEED).numpy() for t in TEMPERATURES]
    assert compiled.experimental_get_tracing_count() == 1
    assert not np.allclose(results[0], results[1])


@each(RELAXATIONS)
@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16], ids=["bfloat16", "float16"])
def test_half_precision_in_float32_out(row, dtype):
    assert row.build()(tf.cast(arch_logits(), dtype), tf.constant(0.01), SEED).dtype == tf.float32


@each(RELAXATIONS)
def test_operations_can_be_permuted(row):
    relaxation, order = row.build(), [3, 0, 4, 1, 2]
    upstream, t = arch_logits(1.0, seed=1), tf.constant(0.01)
    probs, slope = probs_and_gradient(relaxation, arch_logits(), t, upstream)
    moved_probs, moved_slope = probs_and_gradient(
        relaxation, tf.gather(arch_logits(), order, axis=1), t, tf.gather(upstream, order, axis=1)
    )
    np.testing.assert_allclose(moved_probs, tf.gather(probs, order, axis=1), atol=1e-6)
    np.testing.assert_allclose(moved_slope, tf.gather(slope, order, axis=1), rtol=1e-4, atol=1e-4)


@each(RELAXATIONS)
def test_a_shift_of_all_logits_of_an_edge_changes_nothing(row):
    relaxation = row.build()
    shifted = relaxation(arch_logits() + 8.0, tf.constant(0.01), SEED)
    np.testing.assert_allclose(shifted, relaxation(arch_logits(), tf.constant(0.01), SEED), atol=1e-3)


@each(RELAXATIONS)
def test_xla_gives_the_same(row):
    relaxation = row.build()

    def function(logits, t):
        return probs_and_gradient(relaxation, logits, t, arch_logits(1.0, seed=1))

    compiled = tf.function(function, jit_compile=True)
    for t in TEMPERATURES:
        arguments = arch_logits(3 * t), tf.constant(t)
        for expected, result in zip(function(*arguments), compiled(*arguments), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5 / t)


@each(RELAXATIONS)
@pytest.mark.parametrize("t", TEMPERATURES)
def test_the_mean_has_the_argmax_of_the_logits(row, t):
    mean = row.build().mean(arch_logits(), tf.constant(t))
    np.testing.assert_array_equal(np.argmax(mean, axis=1), np.argmax(arch_logits(), axis=1))


# ----------------------------------------------------------------------------------------------- temperature schedules

EPOCHS = 12
SCHEDULES = [
    Row("constant", lambda: temperature.constant(2.0)),
    Row("linear", lambda: temperature.linear(EPOCHS, initial_temperature=2.0)),
    Row("exponential", lambda: temperature.exponential(EPOCHS, initial_temperature=2.0)),
    Row("periodic exponential", lambda: temperature.periodic(EPOCHS, "exponential", 3, initial_temperature=2.0)),
    Row("periodic linear", lambda: temperature.periodic(EPOCHS, "linear", 2, 3, initial_temperature=2.0)),
    Row("entropy decay", lambda: temperature.entropy_decay(initial_temperature=2.0)),
    Row("entropy decay, k from 0", lambda: temperature.entropy_decay(initial_temperature=2.0, first_epoch=0)),
]
ENTROPIES = np.random.default_rng(5).uniform(0, math.log(5), EPOCHS).tolist()


def states_and_temperatures(schedule, entropies, passing=lambda state, epoch: state):
    """What the schedule tells before each epoch; `passing` stands between the epochs."""
    told = [schedule.init()]
    for epoch, entropy in enumerate(entropies, start=1):
        told.append(schedule.update(passing(told[-1][0], epoch), epoch, entropy))
    return told


@each(SCHEDULES)
def test_the_first_temperature_is_t0(row):
    assert row.build().init()[1] == 2.0


@each(SCHEDULES)
def test_states_are_flat_dicts_of_floats(row):
    for state, value in states_and_temperatures(row.build(), ENTROPIES):
        assert type(value) is float
        assert all(type(key) is str and type(entry) is float for key, entry in state.items())


@each(SCHEDULES)
@pytest.mark.parametrize("entropies", [ENTROPIES, [0.0] * EPOCHS, [math.log(5)] * EPOCHS], ids=["mixed", "0", "ln O"])
def test_temperatures_are_positive_and_at_most_t0(row, entropies):
    assert all(0 < value <= 2.0 * (1 + 1e-9) for _, value in states_and_temperatures(row.build(), entropies))


@each(SCHEDULES)
def test_schedules_are_deterministic(row):
    assert states_and_temperatures(row.build(), ENTROPIES) == states_and_temperatures(row.build(), ENTROPIES)


@each(SCHEDULES)
@pytest.mark.parametrize("stop", [1, 7])
def test_a_state_read_back_from_json_continues_identically(row, stop):
    def reload(state, epoch):
        return json.loads(json.dumps(state)) if epoch == stop else state

    resumed = states_and_temperatures(row.build(), ENTROPIES, reload)
    assert resumed == states_and_temperatures(row.build(), ENTROPIES)


@each(SCHEDULES)
def test_a_state_is_never_changed_in_place(row):
    schedule = row.build()
    state, _ = schedule.init()
    before = dict(state)
    schedule.update(state, 1, 1.0)
    assert state == before


# ----------------------------------------------------------------------------------------------------------- operations


def primitive(name, stride=1, **norm):
    return Row(
        ", ".join([name, f"stride {stride}", *(key for key, value in norm.items() if value)]),
        lambda **settings: operations.PRIMITIVES[name](3, stride, **{"affine": False, **norm, **settings}),
    )


REPEATABLE = [name for name in operations.PRIMITIVES if name != "noise"]  # it has tests of its own
OPERATIONS = [
    *(primitive(name) for name in REPEATABLE),
    *(primitive(name, 2) for name in REPEATABLE),
    *(primitive(name, affine=True) for name in ("nor_conv_1x1", "nor_conv_3x3", "sep_conv_3x3", "dil_conv_5x5")),
    primitive("skip_connect", 2, affine=True),
    *(primitive(name, normalize=True) for name in operations.POOLING),
]
FEATURES = np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)


def prepared(operation, dtype=tf.float32):
    if not operation.built:
        operation.build(FEATURES.shape)
        operation.built = True
    return operations.PREPARATIONS[operation.preparation](tf.cast(FEATURES, dtype))


def apply(operation, x, scale=None, training=True):
    return operation(x, scale=scale, training=training)


@each(OPERATIONS)
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (None, 6, 5, 3), (None, None, None, 3)])
def test_the_output_shape_is_the_announced_one(row, shape):
    operation = row.build()
    announced = operation.compute_output_shape(shape)
    actual = apply(operation, prepared(operation)).shape
    assert len(announced) == 4
    assert all(side in (None, wanted) for side, wanted in zip(announced, actual, strict=True))
    assert [side is None for side in announced] == [side is None for side in shape]


@each(OPERATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_the_scale_argument_multiplies_the_output(row, training):
    operation = row.build(running_statistics=True)
    x = prepared(operation)
    plain = apply(operation, x, training=training)
    for scale in (0.0, 0.3, 1.0):
        scaled = apply(operation, x, tf.constant(scale), training)
        np.testing.assert_allclose(scaled, scale * plain, rtol=1e-4, atol=1e-5)


@each(OPERATIONS)
def test_the_gradient_of_the_scale_is_the_upstream_times_the_output(row):
    operation, scale = row.build(), tf.constant(0.3)
    plain = apply(operation, prepared(operation)).numpy()
    upstream = np.random.default_rng(1).normal(size=plain.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        loss = tf.reduce_sum(apply(operation, prepared(operation), scale) * upstream)
    slope = tape.gradient(loss, scale, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_allclose(slope, np.sum(upstream * plain), rtol=1e-4, atol=1e-4)


@each(OPERATIONS)
def test_the_gradient_of_the_input_scales_too(row):
    operation = row.build()
    x = prepared(operation)
    slopes = []
    for scale in (None, tf.constant(0.25)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(apply(operation, x, scale) ** 3)
        slopes.append(tape.gradient(loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy())
    np.testing.assert_allclose(slopes[1], 0.25**3 * slopes[0], rtol=1e-3, atol=1e-4)


@each(OPERATIONS)
def test_an_operation_survives_its_configuration(row):
    operation = row.build()
    apply(operation, prepared(operation))
    again = type(operation).from_config(json.loads(json.dumps(operation.get_config())))
    assert again.get_config() == operation.get_config() and again.preparation == operation.preparation
    apply(again, prepared(again))
    for target, source in zip(again.variables, operation.variables, strict=True):
        assert target.shape == source.shape and target.trainable == source.trainable
        target.assign(source)
    np.testing.assert_array_equal(
        apply(again, prepared(again), tf.constant(0.5)), apply(operation, prepared(operation), tf.constant(0.5))
    )


@each(OPERATIONS)
@pytest.mark.parametrize("policy, dtype", [("mixed_bfloat16", tf.bfloat16), ("mixed_float16", tf.float16)])
def test_low_precision_stays_low_and_its_variables_high(row, policy, dtype):
    operation = row.build(dtype=policy)
    operation.build(FEATURES.shape)
    scaled = operation.call(prepared(operation, dtype), tf.constant(0.3), training=True)
    assert scaled.dtype == dtype
    assert {variable.dtype for variable in operation.variables} <= {"float32"}
    high = row.build()
    high.build(FEATURES.shape)
    for target, source in zip(high.variables, operation.variables, strict=True):
        target.assign(source)
    expected = high.call(prepared(high), tf.constant(0.3), training=True)
    np.testing.assert_allclose(tf.cast(scaled, tf.float32), expected, rtol=0.05, atol=0.02)


@each(OPERATIONS)
def test_one_trace_when_the_scale_changes(row):
    operation = row.build()
    operation.build(FEATURES.shape)
    compiled = tf.function(lambda x, scale: apply(operation, x, scale))
    results = [compiled(prepared(operation), tf.constant(scale)) for scale in (1.0, 0.5, 0.0)]
    assert compiled.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(results[0], apply(operation, prepared(operation)), rtol=1e-4, atol=1e-5)


@each(OPERATIONS)
def test_training_alone_moves_the_averages(row):
    operation = row.build(running_statistics=True)
    operation.build(FEATURES.shape)
    averages = [variable for variable in operation.variables if not variable.trainable]
    norms = [layer for layer in operation._flatten_layers() if isinstance(layer, operations.BatchNorm)]
    assert len(averages) == 2 * len(norms)
    before = [variable.numpy() for variable in averages]
    evaluated = apply(operation, prepared(operation), training=False).numpy()
    assert all(np.array_equal(old, new) for old, new in zip(before, averages, strict=True))
    trained = apply(operation, prepared(operation), training=True).numpy()
    assert all(np.abs(old - new).max() > 1e-6 for old, new in zip(before, averages, strict=True))
    assert np.allclose(evaluated, trained, atol=1e-3) == (not averages)


@each(OPERATIONS)
def test_without_running_statistics_evaluation_is_training(row):
    operation = row.build(running_statistics=False)
    x = prepared(operation)
    np.testing.assert_array_equal(apply(operation, x, training=False), apply(operation, x, training=True))
    assert all(variable.trainable for variable in operation.variables)


# --------------------------------------------------------------------------------------------------------------- spaces


def two_kinds():
    """Two cell kinds, two inputs, a primitive that is never chosen: what NAS-Bench-201 does not have."""
    edges = tuple(Edge(j, i, ("none", "skip_connect", "avg_pool_3x3")) for i in (2, 3, 4) for j in range(i))
    cells = [CellSpec(kind, 2, 5, edges, "concat", 2, ("none",)) for kind in ("normal", "reduce")]
    return Space("two_kinds", tuple(cells), ())


SPACES = [
    Row("nas_bench_201", spaces.nas_bench_201),
    Row("nas_bench_201, small", lambda: spaces.nas_bench_201(4, 1)),
    Row("darts", lambda: spaces.darts(4, 3, 2)),
    Row("darts_imagenet", lambda: spaces.darts_imagenet(4, 3, 1, with_none=False)),
    *(Row(name, lambda name=name: getattr(spaces, name)(4, 3)) for name in ("s1", "s2", "s3", "s4")),
    Row("proxyless", spaces.proxyless),
    Row("proxyless, small", lambda: spaces.proxyless((4, 6), (2, 2), (1, 2), 3, 1, 4, 5)),
    Row("two kinds", two_kinds),
]


@each(SPACES)
def test_spaces_are_frozen_and_hashable(row):
    space = row.build()
    assert space == row.build() and hash(space) == hash(row.build())
    with pytest.raises(dataclasses.FrozenInstanceError):
        space.name = "other"


@each(SPACES)
def test_logit_shapes_follow_the_edges(row):
    space = row.build()
    assert list(space.logit_shapes) == [cell.kind for cell in space.cells]
    for cell in space.cells:
        assert space.logit_shapes[cell.kind] == (len(cell.edges), cell.num_primitives)
        assert {len(edge.primitives) for edge in cell.edges} == {cell.num_primitives}
        assert cell == space.cell(cell.kind)


@each(SPACES)
def test_num_architectures_counts_one_choice_per_edge(row):
    space = row.build()
    choices = [len(edge.primitives) for cell in space.cells for edge in cell.edges]
    # Logarithms to 12 digits tell one choice more or less on any edge, and are exact enough for 10^17 architectures.
    assert math.log(space.num_architectures) == pytest.approx(sum(math.log(n) for n in choices), rel=1e-12)


@each(SPACES)
def test_every_edge_is_found_from_both_ends(row):
    for cell in row.build().cells:
        nodes, edges = range(cell.num_nodes), list(range(len(cell.edges)))
        assert sorted(i for node in nodes for i in cell.incoming(node)) == edges
        assert sorted(i for node in nodes for i in cell.outgoing(node)) == edges
        assert all(cell.incoming(node) for node in cell.intermediate_nodes)


@each([row for row in SPACES if row.build().blocks and row.name != "proxyless"])  # its size: test_counting.py
def test_the_supernet_has_the_counted_parameters(row):
    space = row.build()
    supernet = Supernet(space, 7)
    supernet.build((None, 8, 8, 2))
    counted = count_supernet(space, (8, 8, 2), 7).parameters
    assert sum(math.prod(variable.shape) for variable in supernet.trainable_variables) == counted
    probs = {kind: tf.fill(shape, 1 / shape[1]) for kind, shape in space.logit_shapes.items()}
    images = tf.constant(np.random.default_rng(0).normal(size=(4, 8, 8, 2)), tf.float32)
    outputs = supernet(images, probs, training=True)
    assert outputs.shape == (4, 7) and np.isfinite(outputs).all()


# --------------------------------------------------------------------------------------------------------- discretizers

DISCRETIZERS = [
    Row("argmax", discretizers.argmax),
]


def on_every_space(test):
    return pytest.mark.parametrize("space", [row.build() for row in SPACES], ids=[row.name for row in SPACES])(test)


def random_probs(space, seed=0):
    generator = np.random.default_rng(seed)
    return {
        kind: generator.dirichlet(np.ones(o), size=e).astype(np.float32) for kind, (e, o) in space.logit_shapes.items()
    }


@each(DISCRETIZERS)
@on_every_space
def test_genotypes_belong_to_the_space(row, space):
    for seed in range(20):
        genotype = row.build()(random_probs(space, seed), space)
        assert genotype.check(space) is genotype
        assert all(genotype.count(primitive) == 0 for cell in space.cells for primitive in cell.excluded)


@each(DISCRETIZERS)
@on_every_space
def test_genotypes_do_not_change_under_monotone_scaling(row, space):
    probs = random_probs(space)
    for scaling in (lambda p: 3 * p, lambda p: p**3, np.sqrt, lambda p: np.log(p + 1)):
        scaled = {kind: scaling(table.astype(np.float64)) for kind, table in probs.items()}
        assert row.build()(scaled, space) == row.build()(probs, space)


@each(DISCRETIZERS)
@on_every_space
def test_genotypes_survive_json(row, space):
    genotype = row.build()(random_probs(space), space)
    assert Genotype.from_json(json.loads(json.dumps(genotype.to_json()))) == genotype


@each(DISCRETIZERS)
@on_every_space
def test_discretizers_leave_their_input_alone(row, space):
    probs = random_probs(space)
    copies = {kind: table.copy() for kind, table in probs.items()}
    row.build()(probs, space)
    assert all(np.array_equal(probs[kind], copies[kind]) for kind in probs)


# --------------------------------------------------------------------------------------------------------- regularizers

REGULARIZERS = [
    Row("self-distillation", lambda: regularizers.self_distillation(warm_up_epochs=0)),
    Row(
        "self-distillation, two votes by epoch, arch",
        lambda: regularizers.self_distillation(2, "epoch", "majority", warm_up_epochs=0, phases=("arch",)),
    ),
]


def searching(regularizer, steps=4):
    """A step of a small search, and the scalars of some steps of two epochs."""
    keras.utils.set_random_seed(0)
    supernet = Supernet(tiny_space(), 3)
    supernet.build((None, 4, 4, 3))
    logits = ArchLogits(supernet.space, seed=0)
    step = Bilevel(supernet, logits, relaxations.softmax(), SGD(0.1), SGD(0.1), [regularizer])
    rng = np.random.default_rng(0)
    batch = tf.constant(rng.normal(size=(4, 4, 4, 3)), tf.float32), tf.constant([0, 1, 2, 0])
    scalars = [step.step(batch, batch, tf.constant(index, tf.int64), epoch=index // 2) for index in range(steps)]
    return step, [{tag: float(value) for tag, value in row.items()} for row in scalars]


@each(REGULARIZERS)
def test_terms_are_scalars_of_their_phases_traced_once(row, monkeypatch):
    regularizer, seen = row.build(), []
    call = type(regularizer).__call__

    def watched(self, context):
        seen.append((context.phase, call(self, context)))
        return seen[-1][1]

    monkeypatch.setattr(type(regularizer), "__call__", watched)
    step, scalars = searching(regularizer)
    assert [phase for phase, _ in seen] == [phase for phase in ("weights", "arch") if phase in regularizer.phases] != []
    assert all(term.dtype == tf.float32 and term.shape == () for _, term in seen)
    assert [function.experimental_get_tracing_count() for function in step.functions.values()] == [1, 1]
    assert all(math.isfinite(value) for row in scalars for value in row.values())


@each(REGULARIZERS)
def test_a_state_is_on_the_host_and_moves_with_the_steps(row):
    stateful = isinstance(row.build(), regularizers.StatefulRegularizer)
    steps = [searching(row.build(), count)[0] for count in (3, 3, 4)]
    first, again, later = ([variable.numpy() for variable in step.variables["regularizers"]] for step in steps)
    assert bool(first) == stateful and all("CPU" in variable.device for variable in steps[0].variables["regularizers"])
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert any(not np.array_equal(*pair) for pair in zip(first, later, strict=True)) == stateful


# ------------------------------------------------------------------------------------------------------------ selectors

SELECTORS = [
    Row("evolution", lambda: evolution.evolutionary_search(6, 3, 2, mutants=2, crossovers=2)),
    Row("random search", lambda: evolution.random_search(18)),
]


def skips(genotype):
    return float(genotype.count("skip_connect"))


@each(SELECTORS)
@on_every_space
def test_selectors_return_the_best_of_different_genotypes_of_the_space(row, space, tmp_path):
    asked = []
    chosen = row.build()(space, lambda g: asked.append(g) or skips(g), seed=0, log_path=tmp_path / "log.jsonl")
    assert chosen.check(space) in asked and skips(chosen) == max(map(skips, asked))
    assert len(set(asked)) == len(asked) > 1
    assert all(genotype.check(space) for genotype in asked)


@each(SELECTORS)
def test_the_seed_decides_what_selectors_ask(row, tmp_path):
    space, asked = spaces.nas_bench_201(), {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        asked[name] = []
        fitness = lambda g, n=name: asked[n].append(g) or skips(g)  # noqa: E731
        row.build()(space, fitness, seed=seed, log_path=tmp_path / name)
    assert asked["a"] == asked["b"] != asked["c"]


# -------------------------------------------------------------------------------------------------------- path samplers

SAMPLERS = [
    Row("uniform paths", samplers.uniform_paths),
    Row("fair paths", samplers.fair_paths),
    Row("importance paths, shared", lambda: samplers.importance_paths(importance_weights=True)),
    Row("importance paths, per edge", lambda: samplers.importance_paths(per_edge=True)),
]


def suits(row, space) -> bool:
    """Fair paths need equally many candidates everywhere, a shared distribution the same ones on all edges."""
    counts = {len(set(edge.primitives) - set(cell.excluded)) for cell in space.cells for edge in cell.edges}
    lists = [{edge.primitives for edge in cell.edges} for cell in space.cells]
    return {"fair paths": len(counts) == 1, "importance paths, shared": max(map(len, lists)) == 1}.get(row.name, True)


SAMPLED = [(row, space.name, space.build()) for row in SAMPLERS for space in SPACES if suits(row, space.build())]
on_its_spaces = pytest.mark.parametrize(
    "row, space", [(r, s) for r, _, s in SAMPLED], ids=[f"{r.name}, {n}" for r, n, _ in SAMPLED]
)


def sampler_of(row, space):
    sampler = row.build()
    sampler.build(space)
    return sampler


def drawn(sampler, seed):
    return [{kind: table.numpy() for kind, table in path.items()} for path in sampler.sample(tf.constant(seed))]


def same(first, second):
    return all(np.array_equal(a[kind], b[kind]) for a, b in zip(first, second, strict=True) for kind in a)


def noted(sampler, space, seed=0):
    """A path recorded with some norms, and an epoch's end."""
    rng = np.random.default_rng(seed)
    path = sampler.sample(tf.constant([seed, 9]))[0]
    sampler.record(
        path, {kind: table * rng.uniform(1, 2, table.shape).astype(np.float32) for kind, table in path.items()}
    )
    sampler.end_epoch(3, 4)


@on_its_spaces
def test_paths_are_one_hot_rows_of_allowed_candidates(row, space):
    for path in drawn(sampler_of(row, space), [1, 2]):
        assert {kind: table.shape for kind, table in path.items()} == space.logit_shapes
        for cell in space.cells:
            table = path[cell.kind]
            assert set(np.unique(table)) <= {0, 1} and set(table.sum(axis=1)) <= {0, 1}
            chosen = [
                edge.primitives[choice.argmax()] for edge, choice in zip(cell.edges, table, strict=True) if choice.any()
            ]
            assert not set(chosen) & set(cell.excluded)
            for node in cell.intermediate_nodes:
                entering = cell.incoming(node)
                kept = len(entering) if row.name == "fair paths" else cell.edges_per_node or len(entering)
                assert table[list(entering)].sum() == kept


@on_its_spaces
def test_the_seed_decides_the_paths(row, space):
    first, second = sampler_of(row, space), sampler_of(row, space)
    assert same(drawn(first, [1, 2]), drawn(second, [1, 2]))
    assert any(not same(drawn(first, [1, 2]), drawn(first, [1, other])) for other in (3, 4, 5))


@on_its_spaces
def test_distributions_are_distributions_of_allowed_candidates(row, space):
    sampler = sampler_of(row, space)
    shapes = [variable.shape for variable in sampler.variables]
    assert all(shape.is_fully_defined() for shape in shapes)
    for _ in range(2):
        for cell in space.cells:
            table = sampler.distribution()[cell.kind]
            assert table.shape == space.logit_shapes[cell.kind] and table.min() >= 0
            np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-5)
            excluded = [[name in cell.excluded for name in edge.primitives] for edge in cell.edges]
            assert table[np.array(excluded)].sum() == 0
        noted(sampler, space)
    assert [variable.shape for variable in sampler.variables] == shapes


@on_its_spaces
def test_what_a_sampler_knows_lies_in_its_variables(row, space):
    sampler, again = sampler_of(row, space), sampler_of(row, space)
    noted(sampler, space)
    for target, source in zip(again.variables, sampler.variables, strict=True):
        target.assign(source)
    restored, kept = again.distribution(), sampler.distribution()
    assert all(np.array_equal(restored[kind], kept[kind]) for kind in kept)
    assert same(drawn(again, [3, 4]), drawn(sampler, [3, 4]))


@each(SAMPLERS)
def test_paths_are_drawn_inside_a_function_of_one_trace(row):
    space = spaces.nas_bench_201(4, 1)
    sampler = sampler_of(row, space)
    compiled = tf.function(sampler.sample)
    for seed in ([1, 2], [3, 4]):
        inside = [{kind: table.numpy() for kind, table in path.items()} for path in compiled(tf.constant(seed))]
        assert same(inside, drawn(sampler, seed))
    noted(sampler, space)  # another distribution, the same function
    inside = [{kind: table.numpy() for kind, table in path.items()} for path in compiled(tf.constant([5, 6]))]
    assert same(inside, drawn(sampler, [5, 6]))
    assert compiled.experimental_get_tracing_count() == 1


# ------------------------------------------------------------------------------------------------------- image samplers

IMAGES = [
    Row("uniform images", samplers.uniform_images),
    Row("importance images", samplers.importance_images),
    Row("importance images, weighted", lambda: samplers.importance_images(importance_weights=True)),
]


def images_of(row, size=30):
    """A sampler that has learnt from some images."""
    sampler = row.build()
    sampler.build(size)
    sampler.record(tf.constant([3, 3, 7]), tf.constant([1.0, 2.0, 4.0]))
    sampler.end_epoch(3, 4)
    return sampler


@each(IMAGES)
def test_orders_are_positions_decided_by_seed_and_epoch(row):
    sampler, again = images_of(row), images_of(row)
    orders = {(seed, epoch): sampler.order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)}
    if row.name == "uniform images":
        assert set(orders.values()) == {None}
        return
    for key, order in orders.items():
        assert order.shape == (30,) and order.min() >= 0 and order.max() < 30
        np.testing.assert_array_equal(order, again.order(*key))
    assert len({tuple(order) for order in orders.values()}) == len(orders)


@each(IMAGES)
def test_weights_of_images_are_positive_and_one_trace_serves_all(row):
    sampler = images_of(row)
    shapes = [variable.shape for variable in sampler.variables]

    @tf.function
    def step(rows, values):
        weights = sampler.ratios(rows)
        sampler.record(rows, values)
        return tf.ones_like(values) if weights is None else weights

    for rows in ([0, 3], [7, 7]):
        weights = step(tf.constant(rows), tf.constant([1.0, 2.0]))
        assert weights.shape == (2,) and np.isfinite(weights).all() and np.min(weights) > 0
    assert step.experimental_get_tracing_count() == 1
    assert [variable.shape for variable in sampler.variables] == shapes
    assert all(shape.is_fully_defined() for shape in shapes)
