"""Figures of matplotlib as pictures and files.

Figures are made with matplotlib's object-oriented interface: no window, no global state, safe in any thread.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_edd.analysis.palette import DPI, SAVED_DPI
from tf_edd.errors import UserError
from tf_edd.runtime.files import TEMPORARY


def new_figure(width: float, height: float, **settings) -> Figure:
    """An empty white figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", **settings)
    FigureCanvasAgg(figure)
    return figure


def to_image(figure: Figure) -> np.ndarray:
    """The picture of a figure, uint8 [H, W, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PNG or SVG, by the suffix; readers never see a partial file.

    Raises:
        UserError: Another suffix.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise UserError(f"Expected a file that ends in .png or .svg. Received: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        figure.savefig(temporary, format=path.suffix[1:], dpi=SAVED_DPI)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
