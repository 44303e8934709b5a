"""What a retraining takes from the search beside it."""

import dataclasses

import pytest
from tiny_retraining import CELL, run

from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.spaces import nas_bench_201, space_to_json
from tf_edd.training.searched import find_genotype, searched_space

SPACE = nas_bench_201(4, 1)


def searched(folder, epochs=5, finished=True):
    """Leaves what a search of five epochs writes."""
    search = folder / "search"
    files.write_json(search / "record.json", {"epochs": 5})
    files.write_json(search / "space.json", space_to_json(SPACE))
    files.write_lines(search / "genotypes.jsonl", [{"epoch": epoch + 1} for epoch in range(epochs)])
    files.write_json(search / "genotype.json", from_text(CELL, SPACE).to_json())
    if finished:
        files.write_json(search / "results.json", {"epochs": epochs})


def test_the_cell_and_the_space_of_a_finished_search(tmp_path):
    searched(tmp_path)
    assert searched_space(tmp_path) == SPACE
    assert str(find_genotype(None, tmp_path, SPACE)) == CELL


def test_retrains_at_the_size_of_the_search(tmp_path):
    searched(tmp_path)
    given, found = run(tmp_path / "other", dry_run=True), run(tmp_path, None, space=None, dry_run=True)
    assert found == given


def test_an_unfinished_search_is_not_retrained_unless_its_cell_is_named(tmp_path):
    searched(tmp_path, epochs=2, finished=False)
    with pytest.raises(UserError, match=r"finished 2 of 5 epochs.*--genotype=.*/search/genotype.json to train"):
        run(tmp_path, None, dry_run=True)
    assert run(tmp_path, str(tmp_path / "search" / "genotype.json"), dry_run=True)["genotype"] == CELL


@pytest.mark.parametrize("text", ["", "{}"])
def test_a_search_with_empty_results_is_not_finished(tmp_path, text):
    searched(tmp_path, epochs=2, finished=False)
    (tmp_path / "search" / "results.json").write_text(text)
    with pytest.raises(UserError, match="finished 2 of 5 epochs.*Continue it"):
        find_genotype(None, tmp_path, SPACE)


def test_a_search_without_a_cell_yet_says_to_continue_it(tmp_path):
    searched(tmp_path, epochs=0, finished=False)
    (tmp_path / "search" / "genotype.json").unlink()
    (tmp_path / "search" / "genotypes.jsonl").unlink()
    with pytest.raises(UserError, match="finished 0 of 5 epochs.*Continue it") as raised:
        find_genotype(None, tmp_path, SPACE)
    assert "--genotype" not in str(raised.value)


def test_without_a_search_genotype_and_space_are_asked_for(tmp_path):
    with pytest.raises(UserError, match="Expected a genotype file"):
        find_genotype(None, tmp_path, SPACE)
    with pytest.raises(UserError, match="Expected a space.*space.json is not there"):
        run(tmp_path, space=None)


def test_a_cell_of_another_space_is_refused():
    with pytest.raises(UserError, match="'nas_bench_201'"):
        find_genotype(from_text(CELL, SPACE), "nowhere", dataclasses.replace(SPACE, name="other"))
