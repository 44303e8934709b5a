"""Figures as pictures and files."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from tf_edd.analysis import figure_files
from tf_edd.errors import UserError
from tf_edd.runtime import files


def drawn(text: str = "one"):
    figure = figure_files.new_figure(3, 2)
    figure.text(0.5, 0.5, text)
    return figure


def test_an_image_has_a_hundred_pixels_an_inch_and_stays_as_it_is():
    figure = drawn()
    image = figure_files.to_image(figure)
    assert image.dtype == np.uint8 and image.shape == (200, 300, 3) and np.ptp(image) > 100
    np.testing.assert_array_equal(image, figure_files.to_image(figure))


def test_files_are_for_screens_of_high_density(tmp_path):
    with Image.open(figure_files.save(drawn(), tmp_path / "cell.png")) as image:
        assert image.size == (600, 400)


def test_writes_png_and_svg_without_leftovers(tmp_path):
    figure = drawn()
    assert figure_files.save(figure, tmp_path / "new" / "cell.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    svg = figure_files.save(figure, tmp_path / "new" / "cell.svg")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cell.png", "cell.svg"]


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = figure_files.save(drawn(), tmp_path / "cell.png")
    before = path.read_bytes()
    figure = drawn("two")

    def full_disk(temporary, **_):
        assert temporary.name.startswith(files.TEMPORARY)  # what a kill leaves is known by it
        temporary.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(figure, "savefig", full_disk)
    with pytest.raises(OSError, match="No space"):
        figure_files.save(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_other_suffix(tmp_path):
    with pytest.raises(UserError, match="Received: .*cell.pdf"):
        figure_files.save(drawn(), tmp_path / "cell.pdf")
