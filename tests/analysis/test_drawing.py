"""Pictures of cells: what is drawn, and where labels lie."""

import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from tf_edd.analysis import drawing, figure_files, palette
from tf_edd.architectures.genotype import Genotype, from_text, load
from tf_edd.errors import UserError
from tf_edd.spaces import CellSpec, Edge, Space, darts, nas_bench_201

SPACE = nas_bench_201()
TEXT = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
LONGEST = "|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|"
PROBS = np.random.default_rng(0).dirichlet(np.ones(5), 6)


def darts_like() -> tuple[Space, Genotype]:
    operations = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
    edges = tuple(Edge(s, t, operations) for t in range(2, 6) for s in range(t))
    cell = CellSpec("normal", 2, 6, edges, "concat", 2, ("none",))
    nodes = [(("sep_conv_3x3", 0), ("dil_conv_5x5", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))]
    nodes += [(("sep_conv_3x3", 1), ("skip_connect", 0)), (("skip_connect", 0), ("dil_conv_5x5", 2))]
    return Space("darts_like", (cell,), ()), Genotype("darts_like", (("normal", tuple(nodes)),))


def draw(text: str, probs=None):
    return drawing.draw_cell(from_text(text, SPACE), SPACE, "cell", probs)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def arrows(figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def assert_labels_apart(figure):
    figure.canvas.draw()
    boxes = [text.get_window_extent().padded(3) for text in figure.axes[0].texts]
    page = figure.bbox
    for place, box in enumerate(boxes):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[:place]), figure.axes[0].texts[place].get_text()


def test_every_edge_and_node_is_named():
    figure = draw(TEXT)
    names = ["conv 3×3", "none", "avg pool 3×3", "skip", "conv 3×3", "conv 1×1", "input", "1", "2", "output"]
    assert sorted(texts(figure)) == sorted(names)
    assert len(arrows(figure)) == 6


def test_none_is_faint_and_others_have_their_family_color():
    received = sorted(to_hex(arrow.get_edgecolor()) for arrow in arrows(draw(TEXT)))
    operations = ("nor_conv_3x3", "none", "avg_pool_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_1x1")
    assert received == sorted(palette.color(name) for name in operations)
    dashed = [arrow for arrow in arrows(draw(TEXT)) if arrow.get_linestyle() not in ("-", "solid")]
    assert len(dashed) == 1 and to_hex(dashed[0].get_edgecolor()) == palette.FAINT


def test_probabilities_set_widths_and_labels():
    figure = draw(LONGEST, PROBS)
    widths = sorted(arrow.get_linewidth() for arrow in arrows(figure))
    chosen = np.sort(PROBS[:, 4])
    assert np.all(np.diff(widths) > 0)
    np.testing.assert_allclose(np.diff(widths) / np.diff(chosen), (widths[-1] - widths[0]) / np.ptp(chosen))
    assert {f"avg pool 3×3\n{100 * p:.0f} %" for p in chosen} <= set(texts(figure))


def test_undecided_edges_are_dashed_and_explained():
    probs = np.zeros((6, 5))
    # Below 50 %; below twice the next; exactly twice the next and decided; decided.
    probs[0, 4], probs[0, :4] = 0.48, 0.13
    probs[1, 4], probs[1, 0] = 0.6, 0.4
    probs[2, 4], probs[2, :2] = 0.5, 0.25
    probs[3:, 4] = 1.0
    figure = draw(LONGEST, probs)
    dashed = [arrow.get_alpha() for arrow in arrows(figure) if arrow.get_linestyle() not in ("-", "solid")]
    assert dashed == [0.55, 0.55]
    muted = {text.get_text() for text in figure.axes[0].texts if text.get_color() == palette.MUTED}
    assert muted == {"avg pool 3×3\n48 %", "avg pool 3×3\n60 %"}
    assert drawing.WEAK in [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    decided = draw(LONGEST, np.eye(5)[[4] * 6])
    assert drawing.WEAK not in [text.get_text() for legend in decided.legends for text in legend.get_texts()]


@pytest.mark.parametrize("probs", [None, PROBS])
@pytest.mark.parametrize("text", [TEXT, LONGEST])
def test_labels_do_not_overlap(text, probs):
    assert_labels_apart(draw(text, probs))


def test_cell_with_two_inputs_and_concatenated_output():
    space, genotype = darts_like()
    figure = drawing.draw_cell(genotype, space, "normal")
    assert_labels_apart(figure)
    assert {"$c_{k-2}$", "$c_{k-1}$", "0", "1", "2", "3", "$c_{k}$"} <= set(texts(figure))
    assert len(arrows(figure)) == 8 + 1  # the last one leads from all nodes to the output


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("cell_type", ["normal", "reduce"])
@pytest.mark.parametrize("with_probs", [False, True])
def test_published_cells_of_the_darts_space(cell_type, with_probs, upright):
    space = darts()
    probs = np.random.default_rng(0).dirichlet(np.ones(8), 14) if with_probs else None
    for name in ("DARTS_V1", "DARTS_V2", "PC_DARTS_cifar"):
        figure = drawing.draw_cell(load(name, space), space, cell_type, probs, upright)
        assert_labels_apart(figure)
        assert len(arrows(figure)) == 8 + 1


@pytest.mark.parametrize("text", [TEXT, LONGEST])
def test_an_upright_cell_is_readable_when_it_is_small(text):
    """Shown 230 pixels wide, letters of 11 points keep at least 8 of their pixels."""
    figure = drawing.draw_cell(from_text(text, SPACE), SPACE, "cell", PROBS, upright=True)
    assert_labels_apart(figure)
    height, width, _ = figure_files.to_image(figure).shape
    assert 11 / 72 * 100 * 230 / max(width, height) >= 8
    assert not figure.legends


def test_the_picture_has_the_colors_of_the_operations():
    image = figure_files.to_image(draw(TEXT))
    assert 700 < image.shape[1] < 900 and 250 < image.shape[0] < 600
    pixels = {tuple(pixel) for pixel in image.reshape(-1, 3)}
    for name in ("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1"):
        assert tuple(bytes.fromhex(palette.color(name)[1:])) in pixels


def test_refuses_probabilities_of_another_shape():
    with pytest.raises(UserError, match=r"shape \(6, 5\). Received: \(6, 4\)"):
        draw(TEXT, PROBS[:, :4])


def test_refuses_genotype_of_another_space():
    _, genotype = darts_like()
    with pytest.raises(UserError, match="Received: one of space 'darts_like'"):
        drawing.draw_cell(genotype, SPACE, "cell")


def test_leaves_no_global_figures():
    figure_files.to_image(draw(TEXT))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
