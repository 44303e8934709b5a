"""Pictures of a chain of blocks: what is drawn, where labels lie, which picture a space gets."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, PathPatch

from tf_edd.analysis import drawing, figure_files, palette
from tf_edd.analysis.chain_drawing import draw_chain
from tf_edd.analysis.pictures import draw_architecture, draw_probabilities
from tf_edd.architectures.genotype import from_text, load
from tf_edd.errors import UserError
from tf_edd.spaces import darts, nas_bench_201, proxyless

SPACE = proxyless()
OPERATIONS = [
    "none" if cell.residual and place % 5 == 2 else ("mbconv_k3_e3", "mbconv_k5_e6", "mbconv_k7_e3")[place % 3]
    for place, cell in enumerate(SPACE.cells)
]
GENOTYPE = from_text(",".join(OPERATIONS), SPACE)
RANDOM = np.random.default_rng(0)
PROBS = {cell_type: RANDOM.dirichlet(np.ones(o), e) for cell_type, (e, o) in SPACE.logit_shapes.items()}


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


@pytest.mark.parametrize("probs", [None, PROBS])
def test_labels_lie_apart_and_on_the_page(probs):
    figure = draw_chain(GENOTYPE, SPACE, probs)
    figure.canvas.draw()
    extents = [text.get_window_extent() for text in figure.axes[0].texts]
    page = figure.bbox
    for place, box in enumerate(extents):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in extents[:place]), figure.axes[0].texts[place].get_text()


def test_every_block_has_its_name_color_and_shortcut():
    figure = draw_chain(GENOTYPE, SPACE)
    names = {"none": "none", "mbconv_k3_e3": "MB3 3×3", "mbconv_k5_e6": "MB6 5×5", "mbconv_k7_e3": "MB3 7×7"}
    fixed = ["conv 3×3", "MB1 3×3", "conv 1×1", "pool, linear"]
    stages = [f"{channels} channels" for channels in ("32, 16", "24", "40", "80", "96", "192", "320", "1280")]
    sizes = [f"size 1/{scale}" for scale in (2, 4, 8, 16, 16, 32, 32, 32)]
    assert sorted(texts(figure)) == sorted([*(names[name] for name in OPERATIONS), *fixed, *stages, *sizes])
    faces = [to_hex(box.get_facecolor()) for box in boxes(figure)][2:-2]
    assert faces == ["#ffffff" if name == "none" else palette.color(name) for name in OPERATIONS]
    heights = [box.get_height() for box in boxes(figure)][2:-2]
    by_name = dict(zip(OPERATIONS, heights, strict=True))
    assert by_name["none"] < by_name["mbconv_k3_e3"] == by_name["mbconv_k7_e3"] < by_name["mbconv_k5_e6"]
    lines = [p for p in figure.axes[0].patches if isinstance(p, PathPatch) and not isinstance(p, FancyBboxPatch)]
    shortcuts = [line for line in lines if to_hex(line.get_edgecolor()) == palette.INK]
    assert len(shortcuts) == 15


def test_a_stage_is_a_row():
    figure = draw_chain(GENOTYPE, SPACE)
    rows = {}
    for box in boxes(figure):
        rows.setdefault(round(box.get_y() + box.get_height() / 2, 3), []).append(box.get_x())
    assert [len(places) for _, places in sorted(rows.items(), reverse=True)] == [2, 4, 4, 4, 4, 4, 1, 2]


def test_letters_are_legible_on_a_page_of_eight_hundred_pixels():
    """Letters of 9 points keep at least 14 of their pixels."""
    width = figure_files.to_image(draw_chain(GENOTYPE, SPACE, PROBS)).shape[1]
    assert 9 / 72 * 100 * 800 / width >= 14


def test_probabilities_of_the_chosen_operations_are_written():
    written = [text.split("\n")[1] for text in texts(draw_chain(GENOTYPE, SPACE, PROBS)) if "%" in text]
    chosen = [GENOTYPE.one_hot(SPACE)[cell_type][0] @ table[0] for cell_type, table in PROBS.items()]
    assert written == [f"{100 * value:.0f} %" for value in chosen]


def legend(figure) -> dict:
    """Text -> handle, of all rows of the legend."""
    return {
        text.get_text(): handle
        for rows in figure.legends
        for text, handle in zip(rows.get_texts(), rows.legend_handles, strict=True)
    }


def test_undecided_blocks_are_dashed_and_explained():
    """Those below 50 % or below twice the next one; twice the next one exactly is decided."""
    probs = {cell_type: table[None, 0] for cell_type, table in GENOTYPE.one_hot(SPACE).items()}
    kept = [place for place, name in enumerate(OPERATIONS) if name != "none"]
    for place, first, second in ((kept[0], 0.48, 0.1), (kept[1], 0.6, 0.4), (kept[2], 0.5, 0.25)):
        table = probs[SPACE.cells[place].cell_type][0]
        chosen = int(table.argmax())
        table[:] = (1 - first - second) / (len(table) - 2)
        table[chosen], table[(chosen + 1) % len(table)] = first, second
    figure = draw_chain(GENOTYPE, SPACE, probs)
    lines = [box.get_linestyle() for box in boxes(figure)][2:-2]
    dashed = [place for place, line in enumerate(lines) if line not in ("-", "solid") and place in kept]
    assert dashed == kept[:2]
    assert drawing.WEAK in legend(figure)
    decided = draw_chain(GENOTYPE, SPACE)
    assert drawing.WEAK not in legend(decided)


def test_the_legend_shows_none_as_the_picture_does():
    figure = draw_chain(GENOTYPE, SPACE)
    block, shown = boxes(figure)[2:-2][OPERATIONS.index("none")], legend(figure)["none"]
    assert to_hex(shown.get_facecolor()) == to_hex(block.get_facecolor()) == "#ffffff"
    assert to_hex(shown.get_edgecolor()) == to_hex(block.get_edgecolor()) == palette.FAINT


def test_refuses_another_space_and_another_shape():
    with pytest.raises(UserError, match="Received: one of space 'proxyless'"):
        draw_chain(GENOTYPE, nas_bench_201())
    wrong = {**PROBS, "block_05": PROBS["block_04"]}
    with pytest.raises(UserError, match=r"shape \(1, 6\) for cell type 'block_05'. Received: \(1, 7\)"):
        draw_chain(GENOTYPE, SPACE, wrong)


def test_a_chain_is_one_picture_and_cells_are_one_each():
    assert list(draw_architecture(GENOTYPE, SPACE, {})) == list(draw_probabilities(PROBS, SPACE)) == ["network"]
    assert draw_probabilities({}, SPACE) == {}
    space = darts()
    assert list(draw_architecture(load("DARTS_V2", space), space, {})) == ["normal", "reduce"]
    tables = {cell_type: np.full(shape, 1 / shape[1]) for cell_type, shape in space.logit_shapes.items()}
    assert list(draw_probabilities(tables, space)) == ["normal", "reduce"]
