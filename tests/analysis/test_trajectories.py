"""Pictures of searches: what is read from a history, and what is drawn of it."""

import numpy as np
import pytest

from tf_edd.analysis import drawing, trajectories
from tf_edd.architectures.genotype import from_text
from tf_edd.spaces import proxyless

FIRST = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SECOND = "|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def make_history(epochs: int = 4, shift: float = 0.0, **tags) -> list[dict]:
    rows = []
    for epoch in range(1, epochs + 1):
        row = {
            "epoch": epoch,
            "genotype": FIRST if epoch < 3 else SECOND,
            "arch/entropy": 1.6 / epoch + shift,
            "arch/temperature": 10.0**-epoch,
            "accuracy/valid": 0.2 * epoch,
            "accuracy/discretized": 0.15 * epoch + shift,
            "table/cifar10_test": 90.0 + epoch,
        }
        rows.append({**row, **tags})
    return rows


def without(history: list[dict], *tags: str) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in tags} for row in history]


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
    assert drawing.to_image(figure).shape[1] == 900


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], make_history(1), make_history(200)])
def test_any_length_can_be_drawn(history):
    assert drawing.to_image(trajectories.draw_trajectories(history)).shape[1] == 900


def test_mean_over_seeds_of_different_length():
    seeds = [trajectories.series(make_history(n, shift), "arch/entropy") for n, shift in ((4, 0.0), (2, 0.3))]
    epochs, mean = trajectories.mean_over_seeds(seeds)
    assert epochs.tolist() == [1, 2]
    np.testing.assert_allclose(mean, [1.75, 0.95])


def test_compare_draws_mean_and_every_seed():
    edd = [make_history(4, shift) for shift in (0.0, 0.1, 0.2)]
    figure = trajectories.compare({"EDD-DARTS": edd, "DARTS-V1": [make_history(3)]})
    assert len(figure.axes) == 3
    for axes, tag in zip(figure.axes, ("arch/entropy", "accuracy/discretized"), strict=False):
        drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
        np.testing.assert_allclose(drawn["EDD-DARTS (3 seeds)"], [row[tag] for row in edd[1]])
        assert "DARTS-V1" in drawn
        faint = [line for line in axes.get_lines() if line.get_alpha() and line.get_alpha() < 0.5]
        assert len(faint) == 3
    assert drawing.to_image(figure).shape[1] == 1260


def test_compare_shows_how_many_edges_collapse_and_the_entropy_of_no_preference():
    cells = ["('skip_connect', 0), ('sep_conv_3x3', 1)", "('skip_connect', 0), ('noise', 1)"]
    history = [
        {"epoch": i + 1, "genotype": f"Genotype(normal=[{cell}])", "probs": {"normal": [[0.2, 0.8], [0.1, 0.2, 0.7]]}}
        for i, cell in enumerate(cells)
    ]
    entropy, _, collapse = trajectories.compare({"a": [history]}).axes
    assert [text.get_text() for text in entropy.texts] == ["ln 3"]
    assert {line.get_label(): line.get_ydata().tolist() for line in collapse.get_lines()} == {"a": [1, 2]}


def test_compare_leaves_out_a_method_without_the_tag():
    runs = {"a": [make_history()], "b": [without(make_history(), "accuracy/discretized")]}
    left, right, _ = trajectories.compare(runs).axes
    assert {"a", "b"} <= {line.get_label() for line in left.get_lines()}
    assert {line.get_label() for line in right.get_lines()} == {"a"}


def test_compare_has_a_fourth_panel_where_sharpness_was_measured():
    sharp = [{**row, "sharpness/eigenvalue": 0.1 * row["epoch"]} for row in make_history(3)]
    del sharp[1]["sharpness/eigenvalue"]
    figure = trajectories.compare({"a": [sharp], "b": [make_history(3)]})
    assert len(figure.axes) == 4
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[3].get_lines()}
    assert drawn.keys() == {"a"}
    np.testing.assert_allclose(drawn["a"], [(1, 0.1), (3, 0.3)])
