"""Pictures of probabilities."""

import numpy as np
import pytest

from tf_edd.analysis.figure_files import to_image
from tf_edd.analysis.heat_maps import draw_chain_heat_map, draw_heat_map
from tf_edd.errors import UserError
from tf_edd.spaces import darts, nas_bench_201, proxyless

CELL = nas_bench_201().cells[0]
PROBS = np.random.default_rng(0).dirichlet(np.ones(5), 6)
CHAIN = proxyless()
RANDOM = np.random.default_rng(0)
CHAIN_PROBS = {cell_type: RANDOM.dirichlet(np.ones(o), e) for cell_type, (e, o) in CHAIN.logit_shapes.items()}


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def rows(figure) -> list[str]:
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("small", [False, True])
def test_writes_every_probability_and_names_edges_as_the_drawing_does(small):
    figure = draw_heat_map(PROBS, CELL, small)
    assert texts(figure) == [f"{value:.2f}" for value in PROBS.ravel()]
    assert rows(figure) == ["input → 1", "input → 2", "1 → 2", "input → output", "1 → output", "2 → output"]
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()][1:3] == ["skip", "conv 1×1"]
    np.testing.assert_array_equal(axes.images[0].get_array(), PROBS)
    assert len(figure.axes) == (1 if small else 2)  # the color bar


def test_float32():
    assert texts(draw_heat_map(PROBS.astype(np.float32), CELL)) == [f"{p:.2f}" for p in PROBS.ravel()]


def test_two_inputs_have_their_names():
    cell = darts().cell("normal")
    figure = draw_heat_map(np.full((14, 8), 1 / 8), cell)
    assert rows(figure)[:3] == ["$c_{k-2}$ → 0", "$c_{k-1}$ → 0", "$c_{k-2}$ → 1"] and rows(figure)[-1] == "2 → 3"


@pytest.mark.parametrize("cell, probs", [(CELL, PROBS), (darts().cell("normal"), np.full((14, 8), 1 / 8))])
def test_a_thumbnail_has_legible_numbers(cell, probs):
    """Shown 230 pixels wide, letters of 8 points keep at least 5 of their pixels."""
    width = to_image(draw_heat_map(probs, cell, small=True)).shape[1]
    assert 8 / 72 * 100 * 230 / width >= 5


@pytest.mark.parametrize("small", [False, True])
def test_a_chain_leaves_fields_without_a_candidate_empty(small):
    figure = draw_chain_heat_map(CHAIN_PROBS, CHAIN, small)
    axes = figure.axes[0]
    assert rows(figure)[::6] == ["MB3 3×3", "none"]
    grid = np.asarray(axes.images[0].get_array().filled(np.nan))
    assert grid.shape == (7, 21) and np.isnan(grid).sum() == 6
    assert [place for place in range(21) if np.isnan(grid[6, place])] == [0, 4, 8, 12, 16, 20]
    np.testing.assert_array_equal(grid[:6, 3], CHAIN_PROBS["block_04"][0, :6])


def test_a_chain_writes_every_probability():
    figure = draw_chain_heat_map(CHAIN_PROBS, CHAIN)
    assert len(texts(figure)) == 15 * 7 + 6 * 6
    bold = [text for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert sorted(text.get_text() for text in bold) == sorted(f"{table.max():.2f}" for table in CHAIN_PROBS.values())


def test_refuses_probabilities_of_another_shape():
    with pytest.raises(UserError, match=r"shape \(6, 5\). Received: \(5, 6\)"):
        draw_heat_map(PROBS.T, CELL)
    with pytest.raises(UserError, match=r"shape \(1, 6\) for cell type 'block_05'. Received: \(1, 7\)"):
        draw_chain_heat_map({**CHAIN_PROBS, "block_05": CHAIN_PROBS["block_04"]}, CHAIN)
