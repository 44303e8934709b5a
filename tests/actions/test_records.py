import json

import numpy as np
import pytest
from fake_search import advance, metrics_at, new_state, probabilities, resumed

from tf_edd.actions import GenotypeLog
from tf_edd.architectures.genotype import load
from tf_edd.errors import UserError


def lines(folder):
    return [json.loads(line) for line in (folder / "genotypes.jsonl").read_text().splitlines()]


def test_one_line_an_epoch_and_the_current_genotype(tmp_path):
    state, action = new_state(tmp_path), GenotypeLog()
    action.begin(state)
    for epoch in (1, 2, 3):
        advance(state, [action])
        assert [row["epoch"] for row in lines(tmp_path)] == list(range(1, epoch + 1))
        assert load(str(tmp_path / "genotype.json"), state.space) == state.genotype
    for row in lines(tmp_path):
        assert row["loss/weights"] == metrics_at(row["epoch"])["loss/weights"]
        expected = np.asarray(probabilities(state.space, row["epoch"])["cell"], np.float64)
        assert row["probs"] == {"cell": [[round(value, 6) for value in edge] for edge in expected.tolist()]}
    assert lines(tmp_path)[-1]["genotype"] == str(state.genotype)


def test_where_a_selector_follows_the_genotype_is_left_to_it(tmp_path):
    state, action = new_state(tmp_path), GenotypeLog()
    state.selects = True
    advance(state, [action])
    assert lines(tmp_path)[0]["genotype"] == str(state.genotype) and not (tmp_path / "genotype.json").exists()


def test_a_continued_search_has_one_line_an_epoch(tmp_path):
    state, action = new_state(tmp_path), GenotypeLog()
    action.begin(state)
    advance(state, [action])
    saved = json.loads(json.dumps(state.state_dict()))
    advance(state, [action])  # killed before its checkpoint

    state, action = resumed(saved, state), GenotypeLog()
    action.begin(state)
    assert [row["epoch"] for row in lines(tmp_path)] == [1]
    advance(state, [action])
    advance(state, [action])
    assert [row["epoch"] for row in lines(tmp_path)] == [1, 2, 3]
    assert all("probs" in row for row in lines(tmp_path))


def test_the_line_keeps_probabilities_that_the_search_recorded(tmp_path):
    state, action = new_state(tmp_path), GenotypeLog()
    advance(state, [])
    state.history[-1]["probs"] = {"cell": "recorded"}
    action.epoch(state, {})
    assert lines(tmp_path)[0]["probs"] == {"cell": "recorded"}


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "search").write_text("a file")
    with pytest.raises(UserError, match="Cannot write .*search: "):
        GenotypeLog().begin(new_state(tmp_path / "search"))


def test_a_disk_that_takes_no_more_is_told_and_the_last_record_stays(tmp_path):
    resource = pytest.importorskip("resource")  # limits the size of files on POSIX systems
    state, action = new_state(tmp_path), GenotypeLog()
    advance(state, [action])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UserError, match="Cannot write .*genotypes.jsonl"):
            advance(state, [action])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [row["epoch"] for row in lines(tmp_path)] == [1]
