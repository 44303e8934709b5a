"""The genotype: text and file round trips, and every file that is not one."""

import itertools
import json

import pytest

from tf_edd.errors import UserError
from tf_edd.genotype import Genotype, from_text, load
from tf_edd.spaces import CellSpec, Edge, Space, nas_bench_201
from tf_edd.spaces.nas_bench_201 import PRIMITIVES

TEXT = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


@pytest.fixture(scope="module")
def space() -> Space:
    return nas_bench_201()


def two_cell_space() -> Space:
    """As in the DARTS space: two inputs, two kinds, two of three edges kept in node 3, no `none`."""
    edges = tuple(Edge(s, t, ("none", "skip_connect", "sep_conv_3x3")) for t in (2, 3) for s in range(t))
    cells = [CellSpec(kind, 2, 4, edges, "concat", 2, ("none",)) for kind in ("normal", "reduce")]
    return Space("two_cells", tuple(cells), ())


def two_cell_genotype(**changes) -> Genotype:
    nodes = ((("skip_connect", 0), ("sep_conv_3x3", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 2)))
    cells = {"normal": nodes, "reduce": nodes, **changes}
    return Genotype("two_cells", tuple(cells.items()))


def write(path, content) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_all_15625_cells_return_from_text_and_json(space):
    seen = set()
    for a, b, c, d, e, f in itertools.product(PRIMITIVES, repeat=6):
        text = f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"
        genotype = from_text(text, space)
        assert str(genotype) == text
        assert genotype.nodes("cell") == (((a, 0),), ((b, 0), (c, 1)), ((d, 0), (e, 1), (f, 2)))
        assert Genotype.from_json(genotype.to_json()) == genotype
        seen.add(genotype)
    assert len(seen) == 15_625


def test_text_of_the_table_is_read(space, nb201_table_path):
    from tf_edd.tabular import load_table

    table = load_table(nb201_table_path)
    assert all(str(from_text(table.arch(i), space)) == table.arch(i) for i in range(len(table)))


def test_counts_operations(space):
    genotype = from_text(TEXT, space)
    assert genotype.count("nor_conv_3x3") == 2
    assert genotype.count("none") == genotype.count("skip_connect") == 1
    assert genotype.num_edges == 6
    assert two_cell_genotype().num_edges == 8
    assert two_cell_genotype().count("sep_conv_3x3") == 6


def test_loads_file_folder_and_text(space, tmp_path):
    genotype = from_text(TEXT, space)
    path = write(tmp_path / "genotype.json", genotype.to_json())
    assert load(path, space) == load(str(tmp_path), space) == load(TEXT, space) == load(f" {TEXT}\n", space) == genotype


def test_file_tells_schema_space_and_text(space):
    content = from_text(TEXT, space).to_json()
    assert content["schema"] == 1 and content["space"] == "nas_bench_201" and content["text"] == TEXT
    assert content["cells"]["cell"][0] == [["nor_conv_3x3", 0]]


def test_two_cell_kinds(tmp_path):
    space, genotype = two_cell_space(), two_cell_genotype()
    assert load(write(tmp_path / "g.json", genotype.to_json()), space) == genotype
    assert str(genotype).startswith("normal: |skip_connect~0|sep_conv_3x3~1|+|")
    with pytest.raises(UserError, match="several cell kinds"):
        from_text(TEXT.replace("nor_conv", "sep_conv"), space)


@pytest.mark.parametrize(
    "nodes, message",
    [
        (((("none", 0), ("sep_conv_3x3", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 2))), "Received: 'none'"),
        (((("skip_connect", 0), ("skip_connect", 0)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 2))), "different nodes"),
        (((("skip_connect", 0),), (("sep_conv_3x3", 0), ("sep_conv_3x3", 2))), "takes 2 edges"),
        (((("skip_connect", 0), ("skip_connect", 3)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 2))), "Edge 3 -> 2"),
        (((("skip_connect", 0), ("sep_conv_3x3", 1)),), "has 2 nodes. Received: 1"),
    ],
)
def test_refuses_wrong_cells(nodes, message):
    with pytest.raises(UserError, match=message):
        two_cell_genotype(reduce=nodes).check(two_cell_space())


def test_refuses_missing_cell_kind():
    with pytest.raises(UserError, match=r"\['normal', 'reduce'\]. Received: \['normal'\]"):
        Genotype("two_cells", two_cell_genotype().cells[:1]).check(two_cell_space())


def test_refuses_genotype_of_another_space(space, tmp_path):
    path = write(tmp_path / "g.json", two_cell_genotype().to_json())
    with pytest.raises(UserError, match="space 'nas_bench_201'. Received: one of space 'two_cells'"):
        load(path, space)


@pytest.mark.parametrize(
    "text, message",
    [
        (TEXT.replace("avg_pool_3x3", "max_pool_3x3"), "Received: 'max_pool_3x3'"),
        (TEXT.rsplit("+", 1)[0], "has 3 nodes. Received: 2"),
        (TEXT[:-1], "Expected a cell such as"),
        (TEXT.replace("|+|", "|-|"), "Expected a cell such as"),
        (TEXT + "+", "Expected a cell such as"),
        (TEXT.replace("nor_conv_1x1~2", "nor_conv_1x1~1"), "different nodes"),
        (TEXT.replace("nor_conv_1x1~2", "nor_conv_1x1~3"), "Edge 3 -> 3"),
    ],
)
def test_refuses_wrong_text(space, text, message):
    with pytest.raises(UserError, match=message):
        load(text, space)


def test_refuses_missing_file(space, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(str(tmp_path / "none.json"), space)
    with pytest.raises(UserError, match="no such file"):
        load(str(tmp_path), space)


def test_refuses_every_truncation_of_a_file(space, tmp_path):
    content = json.dumps(from_text(TEXT, space).to_json())
    for length in range(len(content)):
        path = write(tmp_path / "g.json", content[:length])
        with pytest.raises(UserError, match="g.json: not a complete JSON file"):
            load(path, space)


def test_refuses_a_binary_file(space, tmp_path):
    (tmp_path / "g.json").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="not a complete JSON file"):
        load(str(tmp_path / "g.json"), space)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"cells": None},
        {"cells": []},
        {"cells": {"cell": 3}},
        {"cells": {"cell": [[["none", "first"]]]}},
        {"cells": {"cell": [[["none"]]]}},
        {"cells": {"cell": [[["none", 0, 1]]]}},
    ],
)
def test_refuses_other_content(space, tmp_path, change):
    content = {**from_text(TEXT, space).to_json(), **change}
    with pytest.raises(UserError, match="g.json"):
        load(write(tmp_path / "g.json", content), space)


@pytest.mark.parametrize("content", [[], 3, None, "text", {}, {"schema": 1}])
def test_refuses_json_that_is_no_genotype(space, tmp_path, content):
    with pytest.raises(UserError, match="g.json: not a genotype"):
        load(write(tmp_path / "g.json", json.dumps(content)), space)
