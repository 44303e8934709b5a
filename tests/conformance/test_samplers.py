"""Samplers of paths and of images: what they draw, what decides it, and where their knowledge lies."""

import numpy as np
import pytest
import tensorflow as tf
from conformance.rows import IMAGE_SAMPLERS, PATH_SAMPLERS, SPACES, each

from tf_edd import spaces
from tf_edd.errors import UserError

PAIRS = [(row, space.name, space.build()) for row in PATH_SAMPLERS for space in SPACES]
SAMPLED = [(row, name, space) for row, name, space in PAIRS if row.suits(space)]
REFUSED = [(row, name, space) for row, name, space in PAIRS if not row.suits(space)]


def on(pairs):
    return pytest.mark.parametrize(
        "row, space", [(r, s) for r, _, s in pairs], ids=[f"{r.name}, {n}" for r, n, _ in pairs]
    )


def drawn(sampler, seed):
    return [
        {cell_type: table.numpy() for cell_type, table in path.items()} for path in sampler.sample(tf.constant(seed))
    ]


def same(first, second):
    return all(
        np.array_equal(a[cell_type], b[cell_type]) for a, b in zip(first, second, strict=True) for cell_type in a
    )


def noted(sampler, seed=0):
    """A path recorded with some norms, and an epoch's end."""
    rng = np.random.default_rng(seed)
    path = sampler.sample(tf.constant([seed, 9]))[0]
    sampler.record(
        path,
        {cell_type: table * rng.uniform(1, 2, table.shape).astype(np.float32) for cell_type, table in path.items()},
    )
    sampler.end_epoch(3, 4)


@on(REFUSED)
def test_spaces_that_do_not_suit_are_refused(row, space):
    with pytest.raises(UserError):
        row.build().build(space)


@on(SAMPLED)
def test_paths_are_one_hot_rows_of_allowed_candidates(row, space):
    for path in drawn(row.build().build(space), [1, 2]):
        assert {cell_type: table.shape for cell_type, table in path.items()} == space.logit_shapes
        for cell in space.cells:
            table = path[cell.cell_type]
            assert set(np.unique(table)) <= {0, 1} and set(table.sum(axis=1)) <= {0, 1}
            chosen = [
                edge.primitives[choice.argmax()] for edge, choice in zip(cell.edges, table, strict=True) if choice.any()
            ]
            assert not set(chosen) & set(cell.excluded)
            for node in cell.intermediate_nodes:
                entering = cell.incoming(node)
                kept = len(entering) if row.keeps_all_edges else cell.edges_per_node or len(entering)
                assert table[list(entering)].sum() == kept


@on(SAMPLED)
def test_the_seed_decides_the_paths(row, space):
    first, second = row.build().build(space), row.build().build(space)
    assert same(drawn(first, [1, 2]), drawn(second, [1, 2]))
    assert any(not same(drawn(first, [1, 2]), drawn(first, [1, other])) for other in (3, 4, 5))


@on(SAMPLED)
def test_distributions_are_distributions_of_allowed_candidates(row, space):
    sampler = row.build().build(space)
    shapes = [variable.shape for variable in sampler.variables]
    assert all(shape.is_fully_defined() for shape in shapes)
    for _ in range(2):
        for cell in space.cells:
            table = sampler.distribution()[cell.cell_type]
            assert table.shape == space.logit_shapes[cell.cell_type] and table.min() >= 0
            np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-5)
            excluded = [[name in cell.excluded for name in edge.primitives] for edge in cell.edges]
            assert table[np.array(excluded)].sum() == 0
        noted(sampler)
    assert [variable.shape for variable in sampler.variables] == shapes


@on(SAMPLED)
def test_what_a_sampler_knows_lies_in_its_variables(row, space):
    part = row.build()
    sampler, again, untouched = (part.build(space) for _ in range(3))  # of three searches
    noted(sampler)
    uniform = row.build().build(space).distribution()
    assert all(np.array_equal(table, uniform[cell_type]) for cell_type, table in untouched.distribution().items())
    for target, source in zip(again.variables, sampler.variables, strict=True):
        target.assign(source)
    restored, kept = again.distribution(), sampler.distribution()
    assert all(np.array_equal(restored[cell_type], kept[cell_type]) for cell_type in kept)
    assert same(drawn(again, [3, 4]), drawn(sampler, [3, 4]))


@each(PATH_SAMPLERS)
def test_paths_are_drawn_inside_a_function_of_one_trace(row):
    sampler = row.build().build(spaces.nas_bench_201(4, 1))
    compiled = tf.function(sampler.sample)
    for seed in ([1, 2], [3, 4]):
        inside = [
            {cell_type: table.numpy() for cell_type, table in path.items()} for path in compiled(tf.constant(seed))
        ]
        assert same(inside, drawn(sampler, seed))
    noted(sampler)  # another distribution, the same function
    inside = [{cell_type: table.numpy() for cell_type, table in path.items()} for path in compiled(tf.constant([5, 6]))]
    assert same(inside, drawn(sampler, [5, 6]))
    assert compiled.experimental_get_tracing_count() == 1


def images_of(row, size=30):
    """A sampler that has learned from some images."""
    sampler = row.build().build(size)
    sampler.record(tf.constant([3, 3, 7]), tf.constant([1.0, 2.0, 4.0]))
    sampler.end_epoch(3, 4)
    return sampler


@each(IMAGE_SAMPLERS)
def test_orders_are_positions_decided_by_seed_and_epoch(row):
    sampler, again = images_of(row), images_of(row)
    orders = {(seed, epoch): sampler.order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)}
    if not row.orders:
        assert list(orders.values()) == [None] * len(orders)
        return
    for key, order in orders.items():
        assert order.shape == (30,) and order.min() >= 0 and order.max() < 30
        np.testing.assert_array_equal(order, again.order(*key))
    assert len({tuple(order) for order in orders.values()}) == len(orders)


@each(IMAGE_SAMPLERS)
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
