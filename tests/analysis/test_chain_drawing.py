"""Pictures of a chain of blocks: what is drawn, where labels lie, which picture a space gets."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, PathPatch

from tf_edd.analysis import drawing
from tf_edd.analysis.chain_drawing import draw_chain, draw_chain_heat_map
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
    stages = ["32", "16", "24", "40", "80", "96", "192", "320", "1280", "channels", "size"]
    sizes = [f"1/{scale}" for scale in (2, 2, 4, 8, 16, 16, 32, 32, 32)]
    assert sorted(texts(figure)) == sorted([*(names[name] for name in OPERATIONS), *fixed, *stages, *sizes])
    faces = [to_hex(box.get_facecolor()) for box in boxes(figure)][2:-2]
    assert faces == ["#ffffff" if name == "none" else drawing.color(name) for name in OPERATIONS]
    heights = [box.get_height() for box in boxes(figure)][2:-2]
    by_name = dict(zip(OPERATIONS, heights, strict=True))
    assert by_name["none"] < by_name["mbconv_k3_e3"] == by_name["mbconv_k7_e3"] < by_name["mbconv_k5_e6"]
    shortcuts = [p for p in figure.axes[0].patches if isinstance(p, PathPatch) and not isinstance(p, FancyBboxPatch)]
    assert len(shortcuts) == 15


def test_probabilities_of_the_chosen_operations_are_written():
    written = [text for text in texts(draw_chain(GENOTYPE, SPACE, PROBS)) if text.startswith("0.")]
    chosen = [GENOTYPE.one_hot(SPACE)[cell_type][0] @ table[0] for cell_type, table in PROBS.items()]
    assert written == [f"{value:.2f}" for value in chosen]


def test_heat_map_leaves_fields_without_a_candidate_empty():
    figure = draw_chain_heat_map(PROBS, SPACE)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()][::6] == ["MB3 3×3", "none"]
    grid = np.asarray(axes.images[0].get_array().filled(np.nan))
    assert grid.shape == (7, 21) and np.isnan(grid).sum() == 6
    assert [place for place in range(21) if np.isnan(grid[6, place])] == [0, 4, 8, 12, 16, 20]
    np.testing.assert_array_equal(grid[:6, 3], PROBS["block_04"][0, :6])
    assert len(texts(figure)) == 15 * 7 + 6 * 6
    bold = [text for text in axes.texts if text.get_fontweight() == "bold"]
    assert sorted(text.get_text() for text in bold) == sorted(f"{table.max():.2f}" for table in PROBS.values())


def test_refuses_another_space_and_another_shape():
    with pytest.raises(UserError, match="Received: one of space 'proxyless'"):
        draw_chain(GENOTYPE, nas_bench_201())
    wrong = {**PROBS, "block_05": PROBS["block_04"]}
    for draw in (lambda: draw_chain(GENOTYPE, SPACE, wrong), lambda: draw_chain_heat_map(wrong, SPACE)):
        with pytest.raises(UserError, match=r"shape \(1, 6\) for cell type 'block_05'. Received: \(1, 7\)"):
            draw()


def test_a_chain_is_one_picture_and_cells_are_one_each():
    assert list(draw_architecture(GENOTYPE, SPACE, {})) == list(draw_probabilities(PROBS, SPACE)) == ["network"]
    assert draw_probabilities({}, SPACE) == {}
    space = darts()
    assert list(draw_architecture(load("DARTS_V2", space), space, {})) == ["normal", "reduce"]
    tables = {cell_type: np.full(shape, 1 / shape[1]) for cell_type, shape in space.logit_shapes.items()}
    assert list(draw_probabilities(tables, space)) == ["normal", "reduce"]
