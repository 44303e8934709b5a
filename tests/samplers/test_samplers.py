"""Paths and images: frequencies, fairness, and the update of the distributions against the released algorithm."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_edd import samplers
from tf_edd.errors import UserError
from tf_edd.spaces import CellSpec, Edge, Space, darts, nas_bench_201, s1

SPACE = nas_bench_201(4, 1)
P_VALUE = 1e-3  # seeds are fixed: a test that passes, passes again


def many(sample, count=3000):
    """Tables of so many draws, one array [count, E, O] a kind."""
    seeds = tf.stack([tf.range(count), tf.fill([count], 7)], axis=1)
    signature = dict.fromkeys(cell_types(sample), tf.float32)
    drawn = tf.function(lambda: tf.map_fn(sample, seeds, fn_output_signature=signature))()
    return {cell_type: table.numpy() for cell_type, table in drawn.items()}


def cell_types(sample):
    return sample(tf.constant([0, 0])).keys()


def built(sampler, space=SPACE):
    return sampler.build(space)


def chi_square(counts, probs):
    counts, probs = np.ravel(counts), np.ravel(probs)
    return stats.chisquare(counts[probs > 0], probs[probs > 0] / probs.sum() * counts.sum()).pvalue


def test_uniform_paths_take_each_candidate_equally_often_and_edges_independently():
    tables = many(lambda seed: built(samplers.UniformPaths()).sample(seed)[0])["cell"]
    np.testing.assert_array_equal(tables.sum(axis=2), 1)
    for edge in range(6):
        assert chi_square(tables[:, edge].sum(axis=0), np.full(5, 0.2)) > P_VALUE
    choice = tables.argmax(axis=2)
    together = np.histogram2d(choice[:, 0], choice[:, 5], bins=5)[0]
    assert stats.chi2_contingency(together).pvalue > P_VALUE


def test_paths_follow_their_distribution_and_never_take_a_probability_of_zero():
    probs = np.tile([0.0, 0.1, 0.2, 0.3, 0.4], (6, 1)).astype(np.float32)
    tables = many(lambda seed: samplers.draw_path(SPACE, {"cell": probs}, seed))["cell"]
    assert tables[:, :, 0].sum() == 0
    for edge in range(6):
        assert chi_square(tables[:, edge].sum(axis=0), probs[edge]) > P_VALUE


def test_cells_of_darts_keep_two_edges_a_node_chosen_uniformly_and_no_none():
    space = darts(4, 3)
    drawn = many(lambda seed: samplers.draw_path(space, samplers.uniform(space), seed))
    for cell_type, tables in drawn.items():
        cell = space.cell(cell_type)
        assert tables[:, :, cell.edges[0].primitives.index("none")].sum() == 0
        used = tables.sum(axis=2)
        for node in cell.intermediate_nodes:
            entering = list(cell.incoming(node))
            np.testing.assert_array_equal(used[:, entering].sum(axis=1), 2)
            if len(entering) > 2:
                assert chi_square(used[:, entering].sum(axis=0), np.ones(len(entering))) > P_VALUE
    assert (drawn["normal"] != drawn["reduce"]).any()


def test_strict_fairness():
    sampler = built(samplers.FairPaths())
    steps = [[path["cell"].numpy() for path in sampler.sample(tf.constant([3, step]))] for step in range(4)]
    for paths in steps:
        assert len(paths) == 5
        np.testing.assert_array_equal(sum(paths), 1)  # each candidate of each edge once
        assert all((path.sum(axis=1) == 1).all() for path in paths)
    assert (np.stack(steps[0]) != np.stack(steps[1])).any()  # another order in each step
    first = many(lambda seed: sampler.sample(seed)[0])["cell"]
    assert chi_square(first[:, 2].sum(axis=0), np.ones(5)) > P_VALUE


def test_fairness_needs_edges_with_equally_many_candidates():
    wide = CellSpec("wide", 1, 2, (Edge(0, 1, ("skip_connect", "nor_conv_1x1")),))
    narrow = CellSpec("narrow", 1, 2, (Edge(0, 1, ("skip_connect",)),))
    with pytest.raises(UserError, match=r"same number.*\[1, 2\]"):
        samplers.FairPaths().build(Space("two", (wide, narrow), ()))


def released_path_statistic(steps):
    """G as in the PA&DA code: per operation the norm summed over edges and cells, by the number of its edges."""
    average = np.zeros(5)
    for path, norms in steps:
        for operation in range(5):
            edges = [e for e in range(6) if path[e] == operation]
            seen = sum(norms[e][operation] for e in edges)
            if seen != 0:
                average[operation] = (average[operation] + seen / len(edges)) / 2
    return average


def random_steps(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        path = rng.integers(0, 5, 6)
        norms = rng.uniform(0.1, 1, (6, 5)) * np.eye(5)[path]
        norms[:, [0, 1, 4]] = 0  # no weights
        yield path, norms


@pytest.mark.parametrize("done, epochs", [(1, 10), (6, 10), (10, 10)])
def test_the_path_distribution_is_that_of_the_released_code(done, epochs):
    sampler = built(samplers.ImportancePaths())
    steps = list(random_steps(7))
    for path, norms in steps:
        sampler.record({"cell": tf.constant(np.eye(5)[path], tf.float32)}, {"cell": tf.constant(norms, tf.float32)})
    sampler.end_epoch(done, epochs)
    average, tau = released_path_statistic(steps), (done - 1) / epochs
    expected = tau * average / average.sum() + (1 - tau) * 0.2
    np.testing.assert_allclose(sampler.distribution()["cell"], np.tile(expected, (6, 1)), rtol=1e-5)
    sampler.end_epoch(done, epochs)  # the statistic begins anew: nothing was seen
    np.testing.assert_allclose(sampler.distribution()["cell"], 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    "per_edge, keep, expected",
    [
        (False, False, [0.15, 0.65]),  # 1 / 2 = 0.5, 0.5 / 2 = 0.25, (0.25 + 0.05) / 2; 1.6 / 2 = 0.8, (0.8 + 0.5) / 2
        (False, True, [0.275, 0.65]),  # (0.5 + 0.05) / 2
        (True, False, [0.25, 0.0]),  # edge 0 alone
        (True, True, [0.5, 0.0]),
    ],
)
def test_a_gradient_of_zero_halves_the_statistic_or_keeps_it(per_edge, keep, expected):
    """Three steps by hand: the norms of candidate 2 are 1, 0 and 0.05; candidate 3 has 1.6, rests, and has 0.5 twice.

    Released code: G <- (G + S) / 2 whenever the path uses the candidate, for there S has the norm of a bias gradient,
    which rounding keeps above 0.
    """
    sampler = built(samplers.ImportancePaths(per_edge=per_edge, keep_without_gradient=keep))
    steps = [
        ({0: 2, 1: 3}, {0: 1.0, 1: 1.6}),
        ({0: 2, 1: 2, 2: 0}, {}),
        ({3: 2, 4: 3, 5: 3}, {3: 0.05, 4: 0.5, 5: 0.5}),
    ]
    for path, seen in steps:
        table, norms = np.zeros((2, 6, 5), np.float32)
        for edge, candidate in path.items():
            table[edge, candidate], norms[edge, candidate] = 1, seen.get(edge, 0)
        sampler.record({"cell": tf.constant(table)}, {"cell": tf.constant(norms)})
    found = sampler.variables[1].numpy()[0]
    np.testing.assert_allclose(found, [0, 0, *expected, 0], rtol=1e-6)


def test_a_distribution_of_each_edge():
    sampler = built(samplers.ImportancePaths(per_edge=True, smoothing=0.5))
    norms = np.zeros((6, 5), np.float32)
    norms[2, 3], norms[2, 2], norms[4, 2] = 3.0, 1.0, 2.0
    sampler.record({"cell": tf.ones((6, 5))}, {"cell": tf.constant(norms)})
    sampler.end_epoch(3, 4)  # tau = 0.5 * 2 / 4
    table = sampler.distribution()["cell"]
    np.testing.assert_allclose(table[0], 0.2, rtol=1e-6)
    np.testing.assert_allclose(table[2], 0.15 + 0.25 * np.array([0, 0, 1 / 4, 3 / 4, 0]), rtol=1e-6)
    np.testing.assert_allclose(table[4], 0.15 + 0.25 * np.array([0, 0, 1, 0, 0]), rtol=1e-6)


def test_importance_weights_of_paths_make_means_those_of_uniform_paths():
    sampler = built(samplers.ImportancePaths(per_edge=True, importance_weights=True))
    rng = np.random.default_rng(1)
    sampler.record({"cell": tf.ones((6, 5))}, {"cell": tf.constant(rng.uniform(size=(6, 5)), tf.float32)})
    sampler.end_epoch(4, 6)
    probs = sampler.distribution()["cell"].astype(np.float64)
    path = rng.integers(0, 5, 6)
    weight = float(sampler.ratio({"cell": tf.constant(np.eye(5)[path], tf.float32)}))
    np.testing.assert_allclose(weight, np.prod(0.2 / probs[np.arange(6), path]), rtol=1e-5)


def test_edges_with_different_candidates_cannot_share():
    with pytest.raises(UserError, match="per_edge = True"):
        samplers.ImportancePaths().build(s1(4, 3))
    samplers.ImportancePaths(per_edge=True).build(s1(4, 3))


def images(size, **settings):
    return samplers.ImportanceImages(**settings).build(size)


def test_the_image_distribution_is_that_of_the_released_code():
    sampler = images(6)
    visits = [(4, 0.5), (1, 0.25), (4, 1.0), (4, 0.25), (2, 2.0)]
    norms = np.zeros(6)
    for row, value in visits:  # one at a time: first visit the value, later the mean of itself and the value
        norms[row] = (norms[row] + value) / 2 if norms[row] else value
        sampler.record(tf.constant([row]), tf.constant([value]))
    sampler.end_epoch(4, 6)
    expected = 0.5 * norms / norms.sum() + 0.5 / 6
    drawn = np.concatenate([sampler.order(seed, 5) for seed in range(1000)])
    assert chi_square(np.bincount(drawn, minlength=6), expected) > P_VALUE
    weighted = images(6, importance_weights=True)
    np.testing.assert_allclose(weighted.ratios(tf.constant([0, 3])), 1.0, rtol=1e-6)
    weighted.record(tf.constant([4]), tf.constant([1.0]))
    weighted.end_epoch(4, 6)
    np.testing.assert_allclose(weighted.ratios(tf.constant([4, 0])), [1 / (6 * (0.5 + 0.5 / 6)), 2.0], rtol=1e-5)


def test_an_image_more_than_once_in_a_batch_counts_as_one_visit_after_the_other():
    sampler, norms = images(4), np.zeros(4)
    rng = np.random.default_rng(0)
    for _ in range(3):  # batches: in the second and third the images were visited before
        rows, values = rng.integers(0, 3, 6), rng.uniform(0.1, 1.4, 6)
        sampler.record(tf.constant(rows), tf.constant(values, tf.float32))
        for row, value in zip(rows, values, strict=True):
            norms[row] = (norms[row] + value) / 2 if norms[row] else value
    np.testing.assert_allclose(sampler.variables[1], norms, rtol=1e-6)


def test_the_second_moment_is_that_of_the_ratios():
    sampler = built(samplers.ImportancePaths(per_edge=True))
    assert sampler.second_moment() == pytest.approx(1, abs=1e-5) and built(samplers.FairPaths()).second_moment() == 1
    probs = np.random.default_rng(0).dirichlet(np.ones(5) * 5, 6)
    sampler.variables[0].assign(probs)
    paths = itertools.product(range(5), repeat=6)
    ratios = [(np.prod(probs[range(6), path]), np.prod(0.2 / probs[range(6), path])) for path in paths]
    assert sampler.second_moment() == pytest.approx(sum(p * ratio**2 for p, ratio in ratios), rel=1e-4)


def test_orders_are_functions_of_seed_and_epoch_and_the_first_takes_each_image_once():
    sampler = images(50)
    np.testing.assert_array_equal(np.sort(sampler.order(1, 0)), np.arange(50))
    np.testing.assert_array_equal(sampler.order(1, 3), sampler.order(1, 3))
    assert len({tuple(sampler.order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1, 2)}) == 6
    assert len(set(sampler.order(1, 1))) < 50  # with replacement
    assert samplers.UniformImages().build(50).order(1, 1) is None


def test_orders_have_the_length_that_is_asked_for():
    sampler = images(50)
    for epoch in (0, 1):
        np.testing.assert_array_equal(sampler.order(1, epoch, 50), sampler.order(1, epoch))
    assert len(set(sampler.order(1, 0, 30))) == 30  # without replacement as far as they go
    passes = sampler.order(1, 0, 130)
    assert [len(set(part)) for part in (passes[:50], passes[50:100], passes[100:])] == [50, 50, 30]
    assert len({tuple(part[:30]) for part in (passes[:50], passes[50:100], passes[100:])}) == 3
    sampler.variables[0].assign(np.repeat([0.0, 0.2, 0.0], [20, 5, 25]))
    assert set(sampler.order(1, 2, 300)) == set(range(20, 25)) and len(sampler.order(1, 2, 300)) == 300
    assert samplers.UniformImages().build(50).order(1, 1, 30) is None


def test_the_effective_share_is_that_of_the_images_that_are_drawn():
    sampler = images(50)
    assert sampler.effective_share() == pytest.approx(1, abs=1e-6)
    sampler.variables[0].assign(np.repeat([0.0, 0.2, 0.0], [20, 5, 25]))
    assert sampler.effective_share() == pytest.approx(5 / 50, rel=1e-6)
    assert samplers.UniformImages().build(50).effective_share() == 1


@pytest.mark.parametrize("make", [samplers.ImportancePaths, samplers.ImportanceImages])
@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_smoothing_is_a_share(make, smoothing):
    with pytest.raises(UserError, match=r"\[0, 1\].*smoothing"):
        make(smoothing=smoothing)


def test_a_part_serves_two_searches():
    part = samplers.ImportancePaths(per_edge=True)
    first, second = built(part), built(part)
    first.record({"cell": tf.ones((6, 5))}, {"cell": tf.constant(np.eye(6, 5), tf.float32)})
    first.end_epoch(5, 5)
    np.testing.assert_allclose(first.distribution()["cell"][0], 0.8 * np.eye(5)[0] + 0.04, rtol=1e-5)
    np.testing.assert_allclose(second.distribution()["cell"], 0.2, rtol=1e-6)
    images = samplers.ImportanceImages()
    first, second = images.build(4), images.build(6)
    first.record(tf.constant([1]), tf.constant([2.0]))
    np.testing.assert_array_equal(first.variables[1], [0, 2, 0, 0])
    np.testing.assert_array_equal(second.variables[1], np.zeros(6))
