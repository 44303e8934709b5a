"""Drawings of the cell and of the search as files, to look at while it runs."""

from pathlib import Path

from matplotlib.figure import Figure

from tf_edd.actions.action import Action
from tf_edd.actions.search_state import SearchState
from tf_edd.analysis import figure_files, pictures, trajectories
from tf_edd.errors import require_count
from tf_edd.part import part
from tf_edd.runtime.writing import writing


@part(module="tf_edd.actions")
class Drawings(Action):
    """Draws `cells/epoch_XXX.svg` and `trajectories` while the search runs, and `cell` and `heat_map` at its end.

    The last three are written as PNG and as SVG.

    The drawings at the end show the final cell, which a selector may have chosen. A space with several cell types has
    one file per type: `cell_normal.png`, `cell_reduce.png`. A chain of blocks is drawn as a whole.

    Attributes:
        every: Epochs between two drawings; the last epoch is always drawn.

    Raises:
        UserError: `every` is below 1, or a file cannot be written.
    """

    every: int = 5

    def __post_init__(self):
        require_count(every=self.every)

    def epoch(self, state: SearchState, metrics: dict[str, float]) -> None:
        if state.epoch % self.every == 0 or state.epoch == state.epochs:
            _draw_epoch(state)

    def end(self, state: SearchState) -> None:
        if state.genotype is None:
            return
        heat_maps = pictures.draw_probabilities(state.probs, state.space)
        save_drawings(_architecture(state), state.folder, "cell")
        save_drawings(heat_maps, state.folder, "heat_map")


def _draw_epoch(state: SearchState) -> None:
    for name, picture in _named(f"epoch_{state.epoch:03d}", _architecture(state)).items():
        _save(picture, state.folder / f"cells/{name}.svg")
    operations = max(cell.num_primitives for cell in state.space.cells)
    save_drawings({"": trajectories.draw_trajectories(state.history, operations)}, state.folder, "trajectories")


def _architecture(state: SearchState) -> dict[str, Figure]:
    return pictures.draw_architecture(state.genotype, state.space, state.probs)


def _named(stem: str, figures: dict[str, Figure]) -> dict[str, Figure]:
    return {stem if len(figures) == 1 else f"{stem}_{cell_type}": figure for cell_type, figure in figures.items()}


def save_drawings(figures: dict[str, Figure], folder: Path, stem: str) -> None:
    """Writes figures of cell types as PNG and SVG: `stem`, or `stem_TYPE` where there are several types."""
    for name, figure in _named(stem, figures).items():
        for suffix in ("png", "svg"):
            _save(figure, folder / f"{name}.{suffix}")


def _save(figure: Figure, path: Path) -> None:
    with writing(path):
        figure_files.save(figure, path)
