"""Drawings of the cell and of the search as files, to look at while it runs."""

import gin
from matplotlib.figure import Figure

from tf_edd.actions.action import check_at_least_one, writing
from tf_edd.analysis import drawing, trajectories
from tf_edd.search_state import SearchState


class _Drawings:
    """See `drawings`."""

    def __init__(self, every: int):
        self._every = every

    def begin(self, state: SearchState) -> None:
        """Nothing to draw yet."""

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        """Draws the cell and the trajectories, every so many epochs."""
        if state.epoch % self._every == 0:
            _draw_epoch(state)

    def end(self, state: SearchState) -> None:
        """Draws the final cell, its probabilities and the trajectories."""
        if state.genotype is None:
            return
        _draw_epoch(state)
        for kind in state.space.logit_shapes:
            cell = _cell(state, kind)
            _save(cell, state, f"{_name('cell', kind, state)}.png")
            _save(cell, state, f"{_name('cell', kind, state)}.svg")
            if kind in state.probs:
                heat_map = drawing.draw_heat_map(state.probs[kind], state.space.cell(kind))
                _save(heat_map, state, f"{_name('heat_map', kind, state)}.png")


def _draw_epoch(state: SearchState) -> None:
    for kind in state.space.logit_shapes:
        name = _name(f"epoch_{state.epoch:03d}", kind, state)
        _save(_cell(state, kind), state, f"cells/{name}.svg")
    operations = max(cell.num_primitives for cell in state.space.cells)
    _save(trajectories.draw_trajectories(state.history, operations), state, "trajectories.png")


def _cell(state: SearchState, kind: str) -> Figure:
    return drawing.draw_cell(state.genotype, state.space, kind, state.probs.get(kind))


def _name(stem: str, kind: str, state: SearchState) -> str:
    return stem if len(state.space.cells) == 1 else f"{stem}_{kind}"


def _save(figure: Figure, state: SearchState, name: str) -> None:
    path = state.model_dir / name
    with writing(path):
        drawing.save(figure, path)


@gin.configurable(module="tf_edd.actions")
def drawings(every: int = 5) -> _Drawings:
    """Draws `cells/epoch_XXX.svg` and `trajectories.png` while the search runs, and `cell` and `heat_map` at its end.

    A space with several cell kinds has a file for each: `cell_normal.png`, `cell_reduce.png`.

    Args:
        every: epochs between two drawings; the last epoch is always drawn.

    Raises:
        UserError: `every` below 1, or files that cannot be written.
    """
    check_at_least_one(every=every)
    return _Drawings(every)
