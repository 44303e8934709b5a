"""Searches side by side: what is drawn of their histories."""

import numpy as np
import pytest
from made_histories import make_history, without

from tf_edd.analysis import figure_files, palette
from tf_edd.analysis.comparison_figure import compare, mean_over_seeds
from tf_edd.analysis.trajectories import series


def dots(axes) -> dict[str, list[float]]:
    """Color -> the values of the seeds in panel C, from left to right."""
    found = {}
    for line in axes.get_lines():
        if line.get_marker() == "o":
            found.setdefault(line.get_color(), []).append(line.get_ydata().tolist())
    return found


def test_mean_over_seeds_of_different_length():
    seeds = [series(make_history(n, shift), "arch/entropy") for n, shift in ((4, 0.0), (2, 0.3))]
    epochs, mean = mean_over_seeds(seeds)
    assert epochs.tolist() == [1, 2]
    np.testing.assert_allclose(mean, [1.75, 0.95])


def test_draws_mean_and_every_seed():
    edd = [make_history(4, shift) for shift in (0.0, 0.1, 0.2)]
    figure = compare({"EDD-DARTS": edd, "DARTS-V1": [make_history(3)]})
    assert len(figure.axes) == 3
    for axes, tag in zip(figure.axes, ("arch/entropy", "accuracy/discretized"), strict=False):
        drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
        np.testing.assert_allclose(drawn["EDD-DARTS (3 seeds)"], [row[tag] for row in edd[1]])
        assert "DARTS-V1" in drawn
        faint = [line for line in axes.get_lines() if line.get_alpha() and line.get_alpha() < 0.5]
        assert len(faint) == 3
    assert figure_files.to_image(figure).shape[1] == 1260


def test_the_end_shows_supernet_discretized_and_table_accuracy_of_every_seed():
    runs = {"a": [make_history(4), make_history(2)], "b": [make_history(3)]}
    panel = compare(runs).axes[2]
    assert [label.get_text() for label in panel.get_xticklabels()] == [
        "supernet",
        "discretized",
        "table,\ncifar10 test",
    ]
    np.testing.assert_allclose(np.concatenate(dots(panel)[palette.METHODS[0]]), [80, 40, 60, 30, 94, 92])
    np.testing.assert_allclose(np.concatenate(dots(panel)[palette.METHODS[1]]), [60, 45, 93])
    assert [text.get_text() for text in panel.texts] == ["60.0", "60.0", "45.0", "45.0", "93.0", "93.0"]


def test_the_end_leaves_out_what_is_not_known():
    runs = {"a": [without(make_history(), "table/cifar10_test")], "b": [without(make_history(), "accuracy/valid")]}
    runs["b"] = [without(runs["b"][0], "table/cifar10_test")]
    panel = compare(runs).axes[2]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["supernet", "discretized"]
    assert [len(values) for values in dots(panel).values()] == [2, 1]


def test_a_selected_cell_takes_the_place_of_the_last_epoch():
    ends = {"a": [{"accuracy/discretized": 0.625, "table/imagenet": 44.0}]}
    panel = compare({"a": [make_history()]}, ends=ends, table_tag="table/imagenet").axes[2]
    assert dots(panel) == {palette.METHODS[0]: [[62.5], [44.0]]}


def test_the_entropy_of_no_preference_comes_from_the_probabilities():
    history = [{"epoch": 1, "genotype": "|a~0|", "probs": {"normal": [[0.2, 0.8], [0.1, 0.2, 0.7]]}}]
    assert [text.get_text() for text in compare({"a": [history]}).axes[0].texts] == ["ln 3"]


def test_a_method_without_the_tag_is_left_out():
    runs = {"a": [make_history()], "b": [without(make_history(), "accuracy/discretized")]}
    left, right, _ = compare(runs).axes
    assert {"a", "b"} <= {line.get_label() for line in left.get_lines()}
    assert {line.get_label() for line in right.get_lines()} == {"a"}


def test_a_fourth_panel_where_sharpness_was_measured():
    sharp = [{**row, "sharpness/eigenvalue": 0.1 * row["epoch"]} for row in make_history(3)]
    del sharp[1]["sharpness/eigenvalue"]
    figure = compare({"a": [sharp], "b": [make_history(3)]})
    assert [axes.get_title(loc="left")[0] for axes in figure.axes] == ["A", "B", "C", "D"]
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[3].get_lines()}
    assert drawn.keys() == {"a"}
    np.testing.assert_allclose(drawn["a"], [(1, 0.1), (3, 0.3)])


@pytest.mark.parametrize("methods", [1, 2, 7, 9])
def test_numbers_lie_apart(methods):
    runs = {f"m{place}": [make_history(4)] for place in range(methods)}
    figure = compare(runs)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[2].texts]
    assert len(boxes) == 3 * methods
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
