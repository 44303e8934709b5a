"""Pictures of cells: what is drawn, where labels lie, and the files that are written."""

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from tf_edd.analysis import drawing
from tf_edd.architectures.genotype import Genotype, from_text, load
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.spaces import CellSpec, Edge, Space, darts, nas_bench_201

SPACE = nas_bench_201()
CELL = SPACE.cells[0]
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
    assert received == sorted(drawing.color(name) for name in operations)
    dashed = [arrow for arrow in arrows(draw(TEXT)) if arrow.get_linestyle() not in ("-", "solid")]
    assert len(dashed) == 1 and to_hex(dashed[0].get_edgecolor()) == drawing.FAINT


def test_families_differ_in_color():
    names = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert len({drawing.color(name) for name in names}) == 5
    assert drawing.family("sep_conv_5x5") == "convolution" and drawing.label("sep_conv_5x5") == "sep conv 5×5"
    assert drawing.family("max_pool_3x3") == "pooling" and drawing.family("noise") == "noise"
    assert drawing.color("dil_conv_3x3") != drawing.color("sep_conv_3x3") != drawing.color("noise")


def test_probabilities_set_widths_and_labels():
    figure = draw(LONGEST, PROBS)
    widths = sorted(arrow.get_linewidth() for arrow in arrows(figure))
    chosen = np.sort(PROBS[:, 4])
    assert np.all(np.diff(widths) > 0)
    np.testing.assert_allclose(np.diff(widths) / np.diff(chosen), (widths[-1] - widths[0]) / np.ptp(chosen))
    assert {f"avg pool 3×3\n{p:.2f}" for p in chosen} <= set(texts(figure))


@pytest.mark.parametrize("probs", [None, PROBS])
@pytest.mark.parametrize("text", [TEXT, LONGEST])
def test_labels_do_not_overlap(text, probs):
    assert_labels_apart(draw(text, probs))


def test_cell_with_two_inputs_and_concatenated_output():
    space, genotype = darts_like()
    figure = drawing.draw_cell(genotype, space, "normal")
    assert_labels_apart(figure)
    assert {"input\n1", "input\n2", "2", "3", "4", "5", "output"} <= set(texts(figure))
    assert len(arrows(figure)) == 8 + 4


@pytest.mark.parametrize("cell_type", ["normal", "reduce"])
@pytest.mark.parametrize("with_probs", [False, True])
def test_published_cells_of_the_darts_space(cell_type, with_probs):
    space = darts()
    probs = np.random.default_rng(0).dirichlet(np.ones(8), 14) if with_probs else None
    for name in ("DARTS_V1", "DARTS_V2", "PC_DARTS_cifar"):
        figure = drawing.draw_cell(load(name, space), space, cell_type, probs)
        assert_labels_apart(figure)
        assert len(arrows(figure)) == 8 + 4


def test_image_is_nine_hundred_pixels_wide_and_has_colors():
    image = drawing.to_image(draw(TEXT))
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[1:] == (900, 3)
    assert 250 < image.shape[0] < 600
    pixels = {tuple(pixel) for pixel in image.reshape(-1, 3)}
    for name in ("nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1"):
        assert tuple(bytes.fromhex(drawing.color(name)[1:])) in pixels
    # A figure does not change by being looked at.
    figure = draw(TEXT)
    np.testing.assert_array_equal(drawing.to_image(figure), drawing.to_image(figure))


def test_writes_png_and_svg_without_leftovers(tmp_path):
    figure = draw(TEXT)
    assert drawing.save(figure, tmp_path / "new" / "cell.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    svg = drawing.save(figure, tmp_path / "new" / "cell.svg")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cell.png", "cell.svg"]


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = drawing.save(draw(TEXT), tmp_path / "cell.png")
    before = path.read_bytes()
    figure = draw(LONGEST)

    def full_disk(temporary, **_):
        assert temporary.name.startswith(files.TEMPORARY)  # what a kill leaves is known by it
        temporary.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(figure, "savefig", full_disk)
    with pytest.raises(OSError, match="No space"):
        drawing.save(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_other_suffix(tmp_path):
    with pytest.raises(UserError, match="Received: .*cell.pdf"):
        drawing.save(draw(TEXT), tmp_path / "cell.pdf")


def test_heat_map_writes_every_probability():
    figure = drawing.draw_heat_map(PROBS, CELL)
    assert texts(figure) == [f"{value:.2f}" for value in PROBS.ravel()]
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "0 → 1",
        "0 → 2",
        "1 → 2",
        "0 → 3",
        "1 → 3",
        "2 → 3",
    ]
    assert [tick.get_text() for tick in axes.get_xticklabels()][1:3] == ["skip", "conv 1×1"]
    np.testing.assert_array_equal(axes.images[0].get_array(), PROBS)
    assert drawing.to_image(figure).shape[2] == 3


def test_heat_map_of_float32():
    assert texts(drawing.draw_heat_map(PROBS.astype(np.float32), CELL)) == [f"{p:.2f}" for p in PROBS.ravel()]


def test_refuses_probabilities_of_another_shape():
    with pytest.raises(UserError, match=r"shape \(6, 5\). Received: \(5, 6\)"):
        drawing.draw_heat_map(PROBS.T, CELL)
    with pytest.raises(UserError, match=r"shape \(6, 5\). Received: \(6, 4\)"):
        draw(TEXT, PROBS[:, :4])


def test_refuses_genotype_of_another_space():
    _, genotype = darts_like()
    with pytest.raises(UserError, match="Received: one of space 'darts_like'"):
        drawing.draw_cell(genotype, SPACE, "cell")


def test_leaves_no_global_figures():
    drawing.to_image(draw(TEXT))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
