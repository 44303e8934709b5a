"""Spaces pruned by a finished search, on searches written by hand."""

import dataclasses

import gin
import numpy as np
import pytest

from tf_edd import pruned_space
from tf_edd.architectures.genotype import from_text
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.runtime import config, files
from tf_edd.spaces import darts, nas_bench_201, space_from_json, space_to_json

SPACE = darts(4, 3)
DEEPER = darts(4, 5)


def finished(model_dir, space=SPACE, probs=None, seed=0):
    """A finished search in this space with these probabilities, random ones by default."""
    draw = np.random.default_rng(seed)
    probs = probs or {
        name: draw.dirichlet(np.ones(count), size=edges).tolist() for name, (edges, count) in space.logit_shapes.items()
    }
    folder = model_dir / "search"
    folder.mkdir(parents=True)
    files.write_json(folder / "space.json", space_to_json(space))
    genotype = str(Argmax()(probs, space))
    files.write_json(folder / "results.json", {"genotype": genotype})
    files.write_lines(folder / "genotypes.jsonl", [{"epoch": 1, "genotype": genotype, "probs": probs}])
    return probs


def test_each_edge_keeps_its_likeliest_candidates_in_their_order(tmp_path):
    probs = finished(tmp_path)
    pruned = pruned_space(DEEPER, tmp_path, keep=5)
    assert pruned.blocks == DEEPER.blocks and pruned.name == "darts"
    for cell in pruned.cells:
        for edge, old, row in zip(cell.edges, SPACE.cell(cell.cell_type).edges, probs[cell.cell_type], strict=True):
            ranked = sorted(zip(row, old.primitives, strict=True), reverse=True)
            assert set(edge.primitives) == {name for _, name in ranked[:5]}
            assert list(edge.primitives) == [name for name in old.primitives if name in edge.primitives]
            assert (edge.source, edge.target, edge.stride) == (old.source, old.target, old.stride)
    assert len({edge.primitives for cell in pruned.cells for edge in cell.edges}) > 10


def test_the_stages_follow_one_another(tmp_path):
    """8, 5 and 3 candidates, the released numbers of P-DARTS; `none` is left out of the last."""
    finished(tmp_path / "1")
    second = pruned_space(DEEPER, tmp_path / "1", keep=5)
    probs = finished(tmp_path / "2", second, seed=1)
    third = pruned_space(DEEPER, tmp_path / "2", keep=3, drop_first=("none",))
    assert second.logit_shapes == {"normal": (14, 5), "reduce": (14, 5)}
    assert third.logit_shapes == {"normal": (14, 3), "reduce": (14, 3)}
    for cell in third.cells:
        for edge, old, row in zip(cell.edges, second.cell(cell.cell_type).edges, probs[cell.cell_type], strict=True):
            ranked = sorted((p, name) for p, name in zip(row, old.primitives, strict=True) if name != "none")[::-1]
            assert set(edge.primitives) == {name for _, name in ranked[:3]}
    assert space_from_json(space_to_json(third)) == third


def test_its_genotypes_are_those_of_the_whole_space_and_its_supernet_runs(tmp_path):
    finished(tmp_path)
    pruned = pruned_space(SPACE, tmp_path, keep=2)
    probs = {name: np.full(shape, 1 / shape[1], np.float32) for name, shape in pruned.logit_shapes.items()}
    genotype = Argmax()(probs, pruned)
    assert genotype.check(SPACE) is genotype and from_text(str(genotype), SPACE) == genotype
    supernet = Supernet(pruned, 10)
    supernet.build((None, 8, 8, 3))
    assert supernet(np.zeros((2, 8, 8, 3), np.float32), probs).shape == (2, 10)


def test_of_equally_likely_candidates_the_first_stays(tmp_path):
    space = nas_bench_201(4, 1)
    finished(tmp_path, space, {"cell": [[0.2] * 5] * 6})
    pruned = pruned_space(space, tmp_path, keep=2, drop_first=("none",))
    assert {edge.primitives for edge in pruned.cells[0].edges} == {space.cells[0].edges[0].primitives[1:3]}


def test_gin_makes_it(tmp_path):
    finished(tmp_path)
    bindings = ["pruned_space.space = @darts()", f"pruned_space.searched = '{tmp_path}'", "pruned_space.keep = 4"]
    config.parse([], [*bindings, "darts.num_cells = 5", "darts.init_channels = 4"], roots=("pruned_space",))
    try:
        assert gin.get_configurable(pruned_space)() == pruned_space(DEEPER, tmp_path, keep=4)
    finally:
        gin.clear_config()


def test_what_cannot_be_pruned_is_refused(tmp_path):
    with pytest.raises(UserError, match="model_dir of a finished search. Received: .*nowhere"):
        pruned_space(SPACE, tmp_path / "nowhere", keep=3)
    finished(tmp_path / "a")
    for keep in (0, 9, 2.5):
        with pytest.raises(UserError, match="keep must be"):
            pruned_space(SPACE, tmp_path / "a", keep=keep)
    with pytest.raises(UserError, match="same types, nodes and edges as 'nas_bench_201' has.*'darts'"):
        pruned_space(nas_bench_201(), tmp_path / "a", keep=3)
    with pytest.raises(UserError, match="drop_first must name candidates.*Received: drop_first=\\('noise',\\)"):
        pruned_space(SPACE, tmp_path / "a", keep=3, drop_first=("noise",))
    log = tmp_path / "a/search/genotypes.jsonl"
    files.write_lines(log, [{key: row[key] for key in ("epoch", "genotype")} for row in files.read_lines(log)])
    with pytest.raises(UserError, match="keeps its probabilities"):
        pruned_space(SPACE, tmp_path / "a", keep=3)


def test_cells_of_fewer_nodes_are_other_cells(tmp_path):
    finished(tmp_path, dataclasses.replace(SPACE))
    with pytest.raises(UserError, match="same types, nodes and edges"):
        pruned_space(darts(4, 3, num_nodes=3), tmp_path, keep=3)
