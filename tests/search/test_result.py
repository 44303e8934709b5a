"""What a search returns: text, pictures for notebooks, and the content of results.json."""

from types import SimpleNamespace

import numpy as np
from tiny_search import tiny_space

from tf_edd.architectures.genotype import from_text
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
    return SimpleNamespace(**{**values, "epochs": 2, "seconds": 3.0, "history": history, "selection": None, **changes})


def test_results_hold_the_metrics_of_the_last_epoch():
    found = results(state())
    assert (found["genotype"], found["epochs"], found["seconds"]) == (CELL, 2, 3.0)
    assert found["metrics"] == {"accuracy/discretized": 0.5} and "selection" not in found
    assert any("CPU" in device for device in found["devices"])


def test_results_of_a_selection_hold_its_record_and_its_accuracy():
    found = results(state(selection={"accuracy": 0.75, "evaluations": 4}))
    assert found["selection"] == {"accuracy": 0.75, "evaluations": 4}
    assert found["metrics"]["accuracy/discretized"] == 0.75 and found["metrics"]["arch/skip_count"] == 1.0
