"""The figure of a training."""

import numpy as np

from tf_edd.training.curves import draw_curves


def test_curves_show_what_was_measured():
    parts = ("train", "valid", "test")
    values = np.random.default_rng(0).random((4, 2, 3))
    history = [
        {"epoch": epoch}
        | {
            f"{cell_type}/{part}": row[k, p]
            for k, cell_type in enumerate(("loss", "accuracy"))
            for p, part in enumerate(parts)
        }
        for epoch, row in enumerate(values, start=1)
    ]
    axes = draw_curves(history).axes
    for k, panel in enumerate(axes):
        assert [line.get_label() for line in panel.get_lines()] == list(parts)
        for p, line in enumerate(panel.get_lines()):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
            np.testing.assert_array_equal(line.get_ydata(), values[:, k, p])


def test_without_held_out_images_there_is_no_line_for_them():
    row = {"loss/train": 1.0, "accuracy/train": 0.5, "loss/test": 1.0, "accuracy/test": 0.5}
    _, accuracy = draw_curves([{"epoch": 1, **row}]).axes
    assert [line.get_label() for line in accuracy.get_lines()] == ["train", "test"]


def test_the_chosen_epoch_is_a_line_with_the_test_result_on_it():
    history = [{"epoch": epoch, "loss/valid": 1 / epoch, "accuracy/valid": 0.5} for epoch in (1, 2, 3)]
    for kind, axes in zip(
        ("loss", "accuracy"), draw_curves(history, 2, {"loss/test": 0.7, "accuracy/test": 0.6}).axes, strict=True
    ):
        line, point = axes.get_lines()[-2:]
        assert line.get_xdata() == [2, 2] and point.get_label() == "test, epoch 2"
        assert (point.get_xdata(), point.get_ydata()) == ([2], [{"loss": 0.7, "accuracy": 0.6}[kind]])
    assert [line.get_label() for line in draw_curves(history, 3).axes[0].get_lines()] == ["valid"]
