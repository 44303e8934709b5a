"""Names and places of the nodes and arcs of a cell."""

import itertools

import numpy as np
import pytest

from tf_edd.analysis.cell_layout import LYING, UPRIGHT, UPRIGHT_DENSE, Arrow, Layout, edge_name, node_names
from tf_edd.architectures.genes import sample_genotype
from tf_edd.architectures.genotype import load
from tf_edd.spaces import darts, nas_bench_201, proxyless

NAMES = ("DARTS_V1", "DARTS_V2", "PC_DARTS_cifar")


def published(name, cell_type, measures=LYING):
    return laid_out(load(name, darts()), cell_type, measures)


def laid_out(genotype, cell_type, measures):
    cell = darts().cell(cell_type)
    nodes = zip(cell.intermediate_nodes, genotype.nodes(cell_type), strict=True)
    arrows = [Arrow(source, node, operation) for node, edges in nodes for operation, source in edges]
    return Layout(cell, arrows, measures)


def test_nodes_are_called_as_in_the_papers():
    assert node_names(darts().cell("normal")) == ["c_{k-2}", "c_{k-1}", "0", "1", "2", "3", "c_{k}"]
    assert node_names(nas_bench_201().cells[0]) == ["input", "1", "2", "output"]
    assert node_names(proxyless().cells[0]) == ["input", "output"]


def test_an_edge_is_called_by_its_ends():
    cell = darts().cell("reduce")
    assert [edge_name(edge, cell) for edge in cell.edges[:3]] == ["c_{k-2} → 0", "c_{k-1} → 0", "c_{k-2} → 1"]
    assert edge_name(nas_bench_201().cells[0].edges[0], nas_bench_201().cells[0], "-") == "input-1"


@pytest.mark.parametrize("measures", [LYING, UPRIGHT_DENSE])
@pytest.mark.parametrize("cell_type", ["normal", "reduce"])
@pytest.mark.parametrize("name", NAMES)
def test_no_two_arcs_begin_or_end_on_one_point(name, cell_type, measures):
    layout = published(name, cell_type, measures)
    assert len(layout.arrows) == 8
    for points in zip(*(layout.ends(arrow) for arrow in layout.arrows), strict=True):
        assert len(set(points)) == 8
    for arrow in layout.arrows:
        (leave, _), (enter, _) = layout.ends(arrow)
        for point, node in ((leave, arrow.source), (enter, arrow.target)):
            assert abs(point - layout.boxes[node][0]) < measures.box[0] + 1e-9


def test_arcs_that_share_a_stretch_have_different_levels():
    layout = published("DARTS_V2", "normal")
    places = [0, 0, 1, 2, 3, 4]
    for first, second in itertools.combinations([arrow for arrow in layout.arrows if arrow.side], 2):
        apart = places[first.target] <= places[second.source] or places[second.target] <= places[first.source]
        assert apart or (first.side, first.level) != (second.side, second.level)


def test_the_two_inputs_lie_side_by_side_and_their_arcs_on_their_sides():
    layout = published("DARTS_V1", "normal")
    assert layout.boxes[0] == (0.0, LYING.inputs) and layout.boxes[1] == (0.0, -LYING.inputs)
    sides = {arrow.source: arrow.side for arrow in layout.arrows if arrow.source < 2}
    assert sides == {0: 1, 1: -1}


def test_neighbors_are_joined_by_straight_lines_with_room_for_a_label():
    cell = nas_bench_201().cells[0]
    arrows = [Arrow(edge.source, edge.target, "skip_connect") for edge in cell.edges]
    for measures in (LYING, UPRIGHT):
        layout = Layout(cell, arrows, measures)
        straight = {(arrow.source, arrow.target) for arrow in layout.arrows if not arrow.side}
        assert straight == {(0, 1), (1, 2), (2, 3)}
        assert [box[0] for box in layout.boxes] == pytest.approx([place * measures.gap for place in range(4)])


def test_a_darts_cell_is_no_wider_than_a_page():
    (first, last), (low, high) = published("DARTS_V2", "normal").extent
    assert last - first < 9 and high - low < 6


@pytest.mark.parametrize("seed", range(40))
def test_labels_of_an_upright_cell_lie_apart(seed):
    """A label of two lines is 0.42 inches high and at most 1.2 inches wide."""
    layout = laid_out(sample_genotype(darts(), np.random.default_rng(seed)), "normal", UPRIGHT_DENSE)
    assert len(layout.labels) == 8
    for (y, x), (other_y, other_x) in itertools.combinations(layout.labels.values(), 2):
        assert abs(y - other_y) >= 0.42 or abs(x - other_x) >= 1.2


@pytest.mark.parametrize("measures", [LYING, UPRIGHT, UPRIGHT_DENSE])
def test_labels_lie_on_their_curves(measures):
    layout = published("DARTS_V2", "normal", measures)
    for arrow in layout.arrows:
        (start, stop), (along, across) = layout.ends(arrow), layout.labels[arrow]
        assert start[0] < along < stop[0] and np.sign(across) == arrow.side
        if measures.label == (0.0, 0.0):
            assert across == pytest.approx(arrow.side * layout.height(arrow))
            assert along == pytest.approx((start[0] + stop[0]) / 2)
