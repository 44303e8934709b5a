"""What a search returns: text, pictures for notebooks, and the content of results.json."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny_search import tiny_space

from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.search.result import SearchResult, results

CELL = "|skip_connect~0|+|nor_conv_1x1~1|"


def result(folder, epochs=2):
    history = tuple({"epoch": epoch, "genotype": CELL, "loss/valid": 1.0 / epoch} for epoch in range(1, epochs + 1))
    return SearchResult(from_text(CELL, tiny_space()), history, folder)


def test_its_text_is_the_cell_and_where_it_lies(tmp_path):
    assert str(result(tmp_path)) == f"{CELL} (2 epochs, {tmp_path})"


def test_a_notebook_shows_the_cells(tmp_path):
    shown = result(tmp_path)
    assert shown._repr_html_() == f"<code>{CELL}</code>"  # no drawings were asked for
    for name in ("cell_reduce.svg", "cell_normal.svg", "heat_map.svg"):
        (tmp_path / name).write_text(f"<svg>{name}</svg>")
    assert shown._repr_html_() == "<svg>cell_normal.svg</svg><svg>cell_reduce.svg</svg>"


def state(**changes):
    """A search of two epochs that has ended."""
    history = [{"epoch": epoch, "genotype": CELL, "accuracy/discretized": 0.25 * epoch} for epoch in (1, 2)]
    probs = {"cell": np.full((2, 2), 0.5, np.float32)}
    values = {"genotype": from_text(CELL, tiny_space()), "space": tiny_space(), "probs": probs, "temperature": 1.0}
    values |= {
        "epochs": 2,
        "seconds": 3.0,
        "history": history,
        "ticks": [],
        "decided": [],
        "verdict": None,
        "selection": None,
    }
    return SimpleNamespace(**{**values, **changes})


def test_results_hold_the_metrics_of_the_last_epoch():
    found = results(state())
    assert (found["genotype"], found["epochs"], found["seconds"]) == (CELL, 2, 3.0)
    assert found["metrics"] == {"accuracy/discretized": 0.5} and "selection" not in found
    assert any("CPU" in device for device in found["devices"])


def test_results_of_a_selection_hold_its_record_and_its_accuracy():
    found = results(state(selection={"accuracy": 0.75, "evaluations": 4}))
    assert found["selection"] == {"accuracy": 0.75, "evaluations": 4}
    assert found["metrics"]["accuracy/discretized"] == 0.75 and found["metrics"]["arch/skip_count"] == 1.0


def finished(model_dir, history=True):
    """The files of a search of two epochs."""
    folder = model_dir / "search"
    made = result(folder)
    if history:
        files.write_lines(folder / "genotypes.jsonl", [{**row, "probs": {"cell": [[1.0]]}} for row in made.history])
    files.write_json(folder / "genotype.json", made.genotype.to_json())
    files.write_json(folder / "results.json", {})
    return made


@pytest.mark.parametrize("convert", [str, lambda path: path])
def test_a_finished_search_is_read_again(tmp_path, convert):
    made = finished(tmp_path)
    loaded = SearchResult.load(convert(tmp_path))
    assert loaded == made and loaded.folder == tmp_path / "search" and len(loaded.history) == 2


def test_the_history_holds_no_probabilities(tmp_path):
    """Whether an action put them there or a file holds them."""
    cell = from_text(CELL, tiny_space())
    assert SearchResult(cell, ({"epoch": 1, "probs": {"cell": [[1.0]]}},), tmp_path).history == ({"epoch": 1},)


def test_a_search_without_a_log_has_no_history(tmp_path):
    made = finished(tmp_path, history=False)
    loaded = SearchResult.load(tmp_path)
    assert loaded.genotype == made.genotype and loaded.history == ()


def test_an_unfinished_search_is_no_result(tmp_path):
    finished(tmp_path)
    (tmp_path / "search" / "results.json").unlink()
    with pytest.raises(UserError, match="model_dir of a finished search. Received: .*results.json is not there"):
        SearchResult.load(tmp_path)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    made = finished(tmp_path / "runs")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert SearchResult.load("~/runs") == made
