"""The threshold of Fair-DARTS: the released rule, nodes without edges, and the networks that come of them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_edd import spaces
from tf_edd.analysis.counting import count
from tf_edd.analysis.drawing import draw_cell
from tf_edd.architectures.connected import dead_end, live_nodes
from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.discretizers import Argmax, Threshold
from tf_edd.errors import UserError
from tf_edd.networks.final_network import build_final_network

SPACE = spaces.darts(4, 3, with_none=False, optional_edges=True)
SMALL = spaces.darts(4, 3, 2, with_none=False, optional_edges=True)
PRIMITIVES = SPACE.cell("normal").edges[0].primitives


def released(table, threshold):
    """`threshold_sparse`: of each node's edges the two whose best operation has the largest weight, if it is certain.

    Returns (operation, node, source), as the released genotypes have them.
    """
    found, start = [], 0
    for node in range(2, 6):
        rows = table[start : start + node]
        sources = sorted(range(node), key=lambda source: -max(rows[source]))[:2]
        for source in sources:
            best = int(np.argmax(rows[source]))
            if rows[source][best] >= threshold:
                found.append((PRIMITIVES[best], node, source))
        start += node
    return found


def random_weights(seed, space=SPACE):
    """Sigmoids as a search leaves them, most of them near 0 and 1."""
    rng = np.random.default_rng(seed)
    return {
        cell_type: (1 / (1 + np.exp(-rng.normal(-2.5, 2.5, size=shape)))).astype(np.float32)
        for cell_type, shape in space.logit_shapes.items()
    }


def kept(genotype, cell_type, num_inputs=2):
    nodes = enumerate(genotype.nodes(cell_type), start=num_inputs)
    return [(operation, node, source) for node, edges in nodes for operation, source in edges if operation != "none"]


@pytest.mark.parametrize("seed", range(20))
def test_the_edges_that_stay_are_those_of_the_released_rule(seed):
    weights, threshold = random_weights(seed), 0.85
    genotype = Threshold(threshold)(weights, SPACE)
    for cell_type, table in weights.items():
        expected = released(table, threshold)
        live = {0, 1}
        for node in range(2, 6):  # edges from nodes without edges are ignored
            if any(target == node and source in live for _, target, source in expected):
                live.add(node)
        expected = [edge for edge in expected if edge[2] in live]
        assert sorted(kept(genotype, cell_type)) == sorted(expected)
        assert all(len(edges) == 2 for edges in genotype.nodes(cell_type))


def test_random_weights_leave_nodes_with_two_edges_one_and_none():
    counts = [
        sum(operation != "none" for operation, _ in edges)
        for seed in range(20)
        for _, nodes in Threshold()(random_weights(seed), SPACE).cells
        for edges in nodes
    ]
    assert set(counts) == {0, 1, 2}


def test_what_is_certain_everywhere_is_the_choice_of_argmax_and_what_is_nowhere_leads_nowhere():
    weights = {name: 0.9 + 0.1 * table for name, table in random_weights(0).items()}
    assert Threshold()(weights, SPACE) == Argmax()(weights, SPACE)
    empty = Threshold(1.0)(random_weights(0), SPACE)
    assert set(empty.operations()) == {"none"} and dead_end(empty, SPACE) == "normal"


def test_nothing_of_nas_bench_201_is_left_out_but_as_none():
    space = spaces.nas_bench_201()
    table = np.full((6, 5), 0.1)
    table[[0, 3, 5], [3, 2, 1]] = 0.9, 0.95, 0.99  # 0 -> 1, 0 -> 3, and 2 -> 3, which nothing reaches
    assert str(Threshold()({"cell": table}, space)) == "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"


@pytest.mark.parametrize("space", [spaces.darts(4, 3), spaces.darts(4, 3, with_none=False), spaces.s2(4, 3)])
def test_spaces_whose_edges_must_stay_are_refused(space):
    with pytest.raises(UserError, match="darts.optional_edges = True.* Received: space .* cells"):
        Threshold()(random_weights(0, space), space)


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold):
    with pytest.raises(UserError, match="threshold"):
        Threshold(threshold)


# ------------------------------------------------------------------------------------------------ genotype and networks

# xiaomi-automl/FairDARTS, fairdarts/genotypes.py: edges (operation, node, source) of the normal and the reduction cell,
# and the multiply-adds and parameters in millions that are written beside them, some cut off. All but c have the side
# branch of the training: 1x1 convolution from 4 x 144 channels, 2x2 convolution, two batch norms, linear layer.
SIDE_BRANCH = 576 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10 + 10
PUBLISHED = {
    "a": (
        "sep_conv_3x3 2 0, sep_conv_5x5 2 1, max_pool_3x3 4 0, sep_conv_3x3 5 0",
        "max_pool_3x3 2 0, avg_pool_3x3 2 1, avg_pool_3x3 3 0, dil_conv_5x5 3 1, avg_pool_3x3 4 0, sep_conv_5x5 4 1, "
        "skip_connect 5 0, skip_connect 5 1",
        373,
        2.83,
    ),
    "b": (
        "sep_conv_3x3 2 0, sep_conv_3x3 2 1, sep_conv_3x3 3 1, dil_conv_3x3 4 0, sep_conv_5x5 4 1, dil_conv_5x5 5 1",
        "skip_connect 2 0, dil_conv_3x3 2 1, skip_connect 3 0, dil_conv_3x3 3 1, max_pool_3x3 4 0, sep_conv_3x3 4 1, "
        "skip_connect 5 2, max_pool_3x3 5 0",
        536,
        3.88,
    ),
    "c": (
        "max_pool_3x3 2 0, sep_conv_5x5 2 1, dil_conv_3x3 4 0, dil_conv_5x5 4 2, sep_conv_3x3 5 0",
        "dil_conv_3x3 2 1, dil_conv_5x5 2 0, dil_conv_3x3 3 0, sep_conv_3x3 3 1, sep_conv_5x5 4 0, sep_conv_5x5 4 3, "
        "sep_conv_5x5 5 0, skip_connect 5 1",
        400,
        2.59,
    ),
    "d": (
        "sep_conv_3x3 2 0, sep_conv_5x5 2 1, dil_conv_3x3 3 1, max_pool_3x3 3 0, dil_conv_3x3 4 0, dil_conv_3x3 4 1, "
        "sep_conv_3x3 5 0, dil_conv_5x5 5 1",
        "max_pool_3x3 2 0, sep_conv_5x5 2 1, avg_pool_3x3 3 0, dil_conv_5x5 3 2, dil_conv_3x3 4 3, avg_pool_3x3 4 0, "
        "avg_pool_3x3 5 0, skip_connect 5 3",
        532,
        3.84,
    ),
    "e": (
        "sep_conv_3x3 2 0, sep_conv_3x3 2 1, dil_conv_3x3 4 1, dil_conv_3x3 4 2, dil_conv_3x3 5 0, dil_conv_5x5 5 1",
        "max_pool_3x3 2 1, max_pool_3x3 2 0, max_pool_3x3 3 1, max_pool_3x3 3 0, sep_conv_5x5 4 1, max_pool_3x3 4 0, "
        "avg_pool_3x3 5 0, dil_conv_5x5 5 1",
        414,
        3.12,
    ),
}


def genotype_of(*cells, space=SPACE):
    """Edges that are left out stand as `none` at the lowest free sources."""
    nodes = []
    for text in cells:
        edges = [edge.split() for edge in text.split(", ")]
        table = [[(op, int(source)) for op, target, source in edges if int(target) == node] for node in range(2, 6)]
        for row in table:
            free = [source for source in range(2) if source not in [given for _, given in row]]
            row += [("none", source) for source in free[: 2 - len(row)]]
        nodes.append(tuple(map(tuple, table)))
    return Genotype("darts", tuple(zip(("normal", "reduce"), nodes, strict=True))).check(space)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells_have_the_published_sizes(name):
    """36 channels, 20 cells; nodes without edges are not in the output of the cell."""
    normal, reduce, multiply_adds, parameters = PUBLISHED[name]
    space = spaces.darts(36, 20, with_none=False, optional_edges=True)
    counts = count(space, genotype_of(normal, reduce, space=space), (32, 32, 3), 10)
    found = counts.parameters + (0 if name == "c" else SIDE_BRANCH)
    assert found / 1e6 == pytest.approx(parameters, abs=0.01)
    # With node 3 of the normal cell in the output a, c and e would have 48 more.
    assert counts.multiply_adds / 1e6 == pytest.approx(multiply_adds, abs=2)


@pytest.mark.parametrize("name", ["a", "c"])
def test_the_network_has_the_counted_parameters_and_nodes(name):
    genotype = genotype_of(*PUBLISHED[name][:2])
    model = build_final_network(SPACE, genotype, (8, 8, 3), 7)
    counted = count(SPACE, genotype, (8, 8, 3), 7).parameters
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == counted
    first = next(layer for layer in model.layers if layer.name.startswith("cell"))
    assert first.output.shape[-1] == 3 * 4  # node 3 has no edges
    outputs = model(tf.constant(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), tf.float32), training=True)
    assert outputs.shape == (2, 7) and np.isfinite(outputs).all()


def test_a_saved_network_loads_again(tmp_path):
    import keras

    genotype = genotype_of(*PUBLISHED["a"][:2])
    model = build_final_network(SPACE, genotype, (8, 8, 3), 7)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images, training=False), model(images, training=False))


def test_text_and_file_hold_the_edges_that_are_left_out():
    genotype = Threshold()(random_weights(3), SPACE)
    assert "('none', " in str(genotype)
    assert from_text(str(genotype), SPACE) == genotype
    assert Genotype.from_json(json.loads(json.dumps(genotype.to_json()))).check(SPACE) == genotype
    with pytest.raises(UserError, match="takes one of .* Received: 'none'"):
        from_text(str(genotype), spaces.darts(4, 3))


def test_one_hot_rows_of_edges_that_are_left_out_are_zero():
    weights = random_weights(4)
    genotype = Threshold()(weights, SPACE)
    for cell_type, table in genotype.one_hot(SPACE).items():
        edges = SPACE.cell(cell_type).edges
        chosen = {(edges[row].target, edges[row].source): PRIMITIVES[column] for row, column in np.argwhere(table == 1)}
        assert sorted((op, *ends) for ends, op in chosen.items()) == sorted(kept(genotype, cell_type))
        assert set(np.unique(table)) == {0.0, 1.0}


def test_live_nodes_are_those_that_a_path_reaches():
    nodes = [[("none", 0), ("none", 1)], [("skip_connect", 2), ("none", 0)], [("skip_connect", 1), ("none", 0)]]
    assert live_nodes(nodes, 2) == [4]
    assert live_nodes([[("skip_connect", 0, 1)], [("none", 0, 1), ("skip_connect", 1, 2)]], 1) == [1, 2]


def test_cells_with_and_without_probabilities_are_drawn():
    weights = random_weights(5)
    genotype = Threshold()(weights, SPACE)
    for cell_type, table in weights.items():
        for probs in (None, table):
            figure = draw_cell(genotype, SPACE, cell_type, probs)
            texts = [text.get_text() for text in figure.axes[0].texts]
            assert sum(text == "none" for text in texts) == [op for op in genotype.operations(cell_type)].count("none")


def test_optional_edges_beside_none_are_refused():
    with pytest.raises(UserError, match="optional_edges stands for `none`"):
        spaces.darts(4, 3, optional_edges=True)
