"""Sizes in both conventions."""

import pytest

from tf_edd.analysis import sizes
from tf_edd.architectures.genotype import load
from tf_edd.errors import UserError
from tf_edd.spaces import darts


def test_a_published_cell_at_its_published_size():
    space = darts(init_channels=36, num_cells=20)
    expected = {"parameters": 3_349_342, "multiply_adds": 528_359_040, "multiply_adds_with_bias": 528_359_050}
    assert sizes.count("DARTS_V2", space) == sizes.count(load("DARTS_V2", space), space) == expected


def test_the_supernet():
    assert sizes.count_supernet(darts())["parameters"] == 1_930_618


def test_images_that_the_network_cannot_halve_are_refused():
    with pytest.raises(UserError, match="Received: images of 2x2"):
        sizes.count("DARTS_V2", darts(), (2, 2, 3))
