"""Pictures of searches: what is read from a history, and what is drawn of it."""

import numpy as np
import pytest
from made_histories import make_history, without

from tf_edd.analysis import figure_files, palette, trajectories
from tf_edd.architectures.genotype import from_text
from tf_edd.spaces import proxyless


def lines(figure) -> dict[str, np.ndarray]:
    """Label -> points [n, 2] of every labelled line."""
    every = [line for axes in figure.axes for line in axes.get_lines()]
    return {line.get_label(): line.get_xydata() for line in every if not line.get_label().startswith("_")}


def test_series_leaves_out_epochs_without_the_tag():
    history = make_history(3)
    del history[1]["arch/entropy"]
    epochs, values = trajectories.series(history, "arch/entropy")
    assert epochs.tolist() == [1, 3]
    np.testing.assert_allclose(values, [1.6, 1.6 / 3])


def test_operation_counts_of_the_genotypes():
    epochs, counts = trajectories.operation_counts(make_history())
    assert epochs.tolist() == [1, 2, 3, 4]
    assert {name: values.tolist() for name, values in counts.items()} == {
        "nor_conv_3x3": [2, 2, 2, 2],
        "nor_conv_1x1": [1, 1, 1, 1],
        "avg_pool_3x3": [1, 1, 0, 0],
        "skip_connect": [1, 1, 3, 3],
        "none": [1, 1, 0, 0],
    }
    # Skip connections and `none`, in which a search collapses, lie on top of the stack.
    assert list(counts)[-2:] == ["skip_connect", "none"]


def test_operation_counts_of_two_cell_kinds():
    text = "normal: |sep_conv_3x3~0|skip_connect~1|  reduce: |max_pool_3x3~0|skip_connect~1|"
    _, counts = trajectories.operation_counts([{"epoch": 1, "genotype": text}])
    assert {name: values.tolist() for name, values in counts.items()} == {
        "sep_conv_3x3": [1],
        "max_pool_3x3": [1],
        "skip_connect": [2],
    }


def test_operation_counts_of_a_chain():
    space = proxyless((4, 6), (3, 2), (1, 2), 4, 1, 4, 8)
    texts = ["mbconv_k5_e3,none,mbconv_k3_e6", "mbconv_k5_e3,mbconv_k5_e3,mbconv_k3_e6"]
    texts = [",".join([text, *["mbconv_k3_e3"] * (len(space.cells) - 3)]) for text in texts]
    history = [{"epoch": i + 1, "genotype": str(from_text(text, space))} for i, text in enumerate(texts)]
    epochs, counts = trajectories.operation_counts(history)
    assert epochs.tolist() == [1, 2]
    assert {name: values.tolist() for name, values in counts.items()} == {
        "mbconv_k3_e3": [len(space.cells) - 3] * 2,
        "mbconv_k3_e6": [1, 1],
        "mbconv_k5_e3": [1, 2],
        "none": [1, 0],
    }
    assert list(counts)[-1] == "none" and trajectories.collapse_counts(history)[1].tolist() == [1, 0]
    panel = trajectories.draw_trajectories(history).axes[-1]
    assert sum(bar.get_height() for bar in panel.patches) == 2 * len(space.cells)


def test_draws_each_series_of_a_search():
    history = make_history()
    drawn = lines(trajectories.draw_trajectories(history))
    expected = {
        "mean entropy": "arch/entropy",
        "temperature (right)": "arch/temperature",
        "supernet": "accuracy/valid",
        "discretized": "accuracy/discretized",
        "table: cifar10 test (right)": "table/cifar10_test",
    }
    assert set(drawn) == set(expected)
    for name, tag in expected.items():
        np.testing.assert_allclose(drawn[name], [(row["epoch"], row[tag]) for row in history])


def test_draws_the_entropy_of_no_preference():
    entropy = trajectories.draw_trajectories(make_history(), num_operations=8).axes[0]
    assert "ln 8" in [text.get_text() for text in entropy.texts]
    assert any(np.allclose(line.get_ydata(), np.log(8)) for line in entropy.get_lines())


def test_temperature_has_a_logarithmic_axis_of_its_own():
    figure = trajectories.draw_trajectories(make_history())
    assert [axes.get_yscale() for axes in figure.axes].count("log") == 1
    assert figure.axes[0].get_yscale() == "linear"


def test_bars_add_up_to_the_edges():
    figure = trajectories.draw_trajectories(make_history())
    bars = figure.axes[2].patches
    tops = {}
    for bar in bars:
        epoch = round(bar.get_x() + bar.get_width() / 2)
        tops[epoch] = max(tops.get(epoch, 0), bar.get_y() + bar.get_height())
    assert tops == {1: 6, 2: 6, 3: 6, 4: 6}


@pytest.mark.parametrize(
    "missing, gone",
    [
        (["table/cifar10_test"], "table: cifar10 test (right)"),
        (["arch/temperature"], "temperature (right)"),
        (["accuracy/discretized"], "discretized"),
        (["accuracy/valid"], "supernet"),
    ],
)
def test_missing_tags_are_not_drawn(missing, gone):
    figure = trajectories.draw_trajectories(without(make_history(), *missing))
    assert gone not in lines(figure)
    assert len(lines(figure)) == 4
    assert figure_files.to_image(figure).shape[1] == 900


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], make_history(1), make_history(200)])
def test_any_length_can_be_drawn(history):
    assert figure_files.to_image(trajectories.draw_trajectories(history)).shape[1] == 900


def test_panels_use_the_whole_width_and_label_their_epochs():
    figure = trajectories.draw_trajectories(make_history(12))
    figure.canvas.draw()
    for axes in figure.axes:
        assert axes.get_position().x1 > 0.88
    for axes in figure.axes[:3]:
        labels = [tick.label1 for tick in axes.xaxis.get_major_ticks()]
        assert [label.get_text() for label in labels][-1] == "12" and all(label.get_visible() for label in labels)


def test_a_measure_has_its_color():
    figure = trajectories.draw_trajectories(make_history())
    colors = {line.get_label(): line.get_color() for axes in figure.axes for line in axes.get_lines()}
    assert colors["supernet"] == palette.SUPERNET and colors["discretized"] == palette.DISCRETIZED
    assert palette.SUPERNET not in (colors["mean entropy"], colors["temperature (right)"])
    assert palette.DISCRETIZED not in (colors["mean entropy"], colors["temperature (right)"])
