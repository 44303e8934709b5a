import xml.etree.ElementTree as ElementTree

import pytest
from fake_search import advance, new_state, two_kinds
from PIL import Image

from tf_edd.actions import Drawings
from tf_edd.errors import UserError
from tf_edd.spaces import proxyless


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_draws_every_so_many_epochs_and_at_the_end(tmp_path):
    state, action = new_state(tmp_path), Drawings(every=2)
    action.begin(state)
    advance(state, [action])
    assert names(tmp_path) == set()
    advance(state, [action])
    course = {"cells/epoch_002.svg", "trajectories.png", "trajectories.svg"}
    assert names(tmp_path) == course
    advance(state, [action])
    action.end(state)
    final = {"cell.png", "cell.svg", "heat_map.png", "heat_map.svg", "cells/epoch_003.svg"}
    assert names(tmp_path) == course | final
    for name in ("cell.png", "heat_map.png", "trajectories.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 100
    assert ElementTree.parse(tmp_path / "cells/epoch_002.svg").getroot().tag.endswith("svg")


def test_each_cell_kind_has_its_files(tmp_path):
    state, action = new_state(tmp_path, two_kinds()), Drawings(every=1)
    advance(state, [action])
    action.end(state)
    cells = {f"cell_{cell_type}.{suffix}" for cell_type in ("normal", "reduce") for suffix in ("png", "svg")}
    assert cells | {"heat_map_normal.png", "cells/epoch_001_reduce.svg"} <= names(tmp_path)


def test_a_chain_is_drawn_as_a_whole(tmp_path):
    state, action = new_state(tmp_path, proxyless((4, 6), (2, 2), (1, 2), 4, 1, 4, 8)), Drawings(every=1)
    advance(state, [action])
    action.end(state)
    final = {f"{stem}.{suffix}" for stem in ("cell", "heat_map", "trajectories") for suffix in ("png", "svg")}
    assert names(tmp_path) == final | {"cells/epoch_001.svg"}


def test_a_search_without_an_epoch_has_nothing_to_draw(tmp_path):
    Drawings().end(new_state(tmp_path))
    assert names(tmp_path) == set()


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "cells").write_text("a file")
    with pytest.raises(UserError, match="Cannot write .*epoch_001.svg"):
        advance(new_state(tmp_path), [Drawings(every=1)])


@pytest.mark.parametrize("every", [0, -1, 2.5])
def test_every_must_be_a_count(every):
    with pytest.raises(UserError, match=f"Received: every={every}"):
        Drawings(every=every)
