"""Searches side by side."""

import json

import pytest

from tf_edd.analysis import comparison, comparison_figure
from tf_edd.architectures.table import open_table
from tf_edd.errors import UserError
from tf_edd.runtime import files


class Lookup:
    """A table of one column."""

    def query(self, genotype):
        return {"cifar10_test": {"|a~0|": 90.0, "|b~0|": 94.0}[genotype]}


def epoch(number, genotype, valid):
    return {
        "epoch": number,
        "genotype": genotype,
        "accuracy/valid": valid,
        "accuracy/discretized": valid / 2,
        "arch/entropy": 1.25,
        "speed/seconds": 90.0,
    }


def test_rows_mean_deviation_and_best():
    seeds = [[epoch(1, "|b~0|", 0.1), epoch(2, "|a~0|", 0.5)], [epoch(1, "|b~0|", 0.7)]]
    lines = comparison.markdown_table({"EDD": seeds}, Lookup()).splitlines()
    assert len(lines) == 5
    first = [cell.strip() for cell in lines[2].replace("\\|", "").split("|")]
    assert first[1:9] == ["EDD 0", "2", "50", "25", "1.25", "0", "90", "1.5"]
    # Mean 92 and sample standard deviation of (90, 94): sqrt(8) = 2.83.
    assert "| 92 +- 2.8 |" in lines[4]
    assert "| 60 +- 14 |" in lines[4]
    assert "best of 2: 94" in lines[4]


def test_without_a_table_and_with_one_seed_there_is_no_spread():
    lines = comparison.markdown_table({"EDD": [[epoch(1, "|a~0|", 0.5)]]}).splitlines()
    assert len(lines) == 3
    assert "+-" not in lines[2]
    assert "cifar10_test" not in lines[0]


def test_without_a_table_no_seed_is_the_best():
    lines = comparison.markdown_table({"EDD": [[epoch(1, "|a~0|", 0.5)], [epoch(1, "|b~0|", 0.7)]]}).splitlines()
    assert "| 60 +- 14 |" in lines[-1]
    assert "best" not in lines[-1]


def test_an_unknown_column_names_the_known():
    with pytest.raises(UserError, match="columns cifar10_test. Received: 'cifar'"):
        comparison.markdown_table({"EDD": [[epoch(1, "|a~0|", 0.5)]]}, Lookup(), "cifar")


def test_history_is_read_from_model_dir_or_search_folder(tmp_path):
    (tmp_path / "search").mkdir()
    rows = [epoch(1, "|a~0|", 0.5), epoch(2, "|b~0|", 0.6)]
    (tmp_path / "search" / "genotypes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert comparison.read_history(tmp_path) == rows
    assert comparison.read_history(tmp_path / "search") == rows


def test_a_selected_cell_takes_the_place_of_the_last(tmp_path):
    rows = [epoch(1, "|a~0|", 0.5), epoch(2, "|skip_connect~0|", 0.6)]
    (tmp_path / "genotypes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert comparison.read_selection(tmp_path) == {}  # not finished
    results = {"genotype": "|b~0|", "metrics": {"accuracy/valid": 0.6, "accuracy/discretized": 0.7}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert comparison.read_selection(tmp_path) == {}  # the cell of the last epoch
    (tmp_path / "results.json").write_text(json.dumps({**results, "selection": {"accuracy": 0.7}}))
    selections = {"EDD": [comparison.read_selection(tmp_path)]}
    lines = comparison.markdown_table({"EDD": [rows]}, Lookup(), selections=selections).splitlines()
    first = [cell.strip() for cell in lines[2].replace("\\|", "").split("|")]
    assert first[1:10] == ["EDD 0", "2", "60", "70", "1.25", "0", "94", "1.5", "`b~0`"]


def write(folder, *rows):
    folder.mkdir()
    (folder / "genotypes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_report_reads_the_folders_and_draws_the_figure(tmp_path):
    seeds = [write(tmp_path / name, epoch(1, "|a~0|", value)) for name, value in (("0", 0.5), ("1", 0.7))]
    one = write(tmp_path / "2", epoch(1, "|b~0|", 0.6))
    figure = tmp_path / "figure.png"
    text = comparison.report({"EDD": seeds, "DARTS": [one]}, figure=figure)
    histories = {"EDD": [comparison.read_history(seed) for seed in seeds], "DARTS": [comparison.read_history(one)]}
    assert text == comparison.markdown_table(histories)
    assert figure.read_bytes()[:4] == b"\x89PNG"


def test_a_report_takes_a_table_or_its_path(tmp_path, nb201_table_path):
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    searches = {"EDD": [write(tmp_path / "0", epoch(1, cell, 0.5))]}
    table = open_table(nb201_table_path)
    text = comparison.report(searches, nb201_table_path)
    assert text == comparison.report(searches, table)
    assert f"| {table.query(cell)['cifar10_test']:.4g} |" in text.splitlines()[2]


def test_labels_are_no_markup():
    line = comparison.markdown_table({"a|<b>": [[epoch(1, "|a~0|", 0.5)]]}).splitlines()[2]
    assert line.startswith("| a\\|&lt;b&gt; 0 | 1 |")


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("a\\|b", "a\\\\\\|b"),
        ("one\ntwo", "one two"),
        ("[x](y) *z* `c`", "\\[x\\](y) \\*z\\* \\`c\\`"),
        ("edd_darts _x_", "edd_darts \\_x\\_"),
        ("$t$ of $5", "\\$t\\$ of \\$5"),
        ("<img onerror=1> & so", "&lt;img onerror=1&gt; &amp; so"),
    ],
)
def test_every_kind_of_markup_in_a_label_is_shown(label, shown):
    lines = comparison.markdown_table({label: [[epoch(1, "|a~0|", 0.5)]]}).splitlines()
    assert len(lines) == 3 and lines[2].startswith(f"| {shown} 0 | 1 |")


def test_labels_are_no_mathematics(tmp_path):
    """As matplotlib draws them: `$` begins mathematics, and a label that begins with `_` has no place in a legend."""
    labels = [r"$\frac$", "$a$ and $b$", "_x", r"\$"]
    one = write(tmp_path / "0", epoch(1, "|a~0|", 0.5))
    comparison.report({label: [one] for label in labels}, figure=tmp_path / "figure.svg")
    figure = comparison_figure.compare({label: [comparison.read_history(one)] for label in labels})
    figure.draw_without_rendering()
    assert len(figure.legends[0].get_texts()) == 4


def test_a_search_in_its_first_epoch_is_refused(tmp_path):
    (tmp_path / "genotypes.jsonl").write_text("")
    with pytest.raises(UserError, match="first epoch is not finished"):
        comparison.report({"EDD": [tmp_path]})


def test_a_folder_without_search_is_refused(tmp_path):
    with pytest.raises(UserError, match="genotypes.jsonl"):
        comparison.read_history(tmp_path)


def test_the_figure_ends_with_the_selected_cell_and_its_accuracy_in_the_table(tmp_path, monkeypatch):
    folder = tmp_path / "search"
    files.write_lines(folder / "genotypes.jsonl", [epoch(1, "|a~0|", 0.5)])
    metrics = {"accuracy/discretized": 0.75}
    results = {"genotype": "|b~0|", "metrics": metrics, "selection": {"selector": "RandomSearch"}}
    files.write_json(folder / "results.json", results)
    drawn = []
    monkeypatch.setattr(comparison.comparison_figure, "compare", lambda *_, **given: drawn.append(given))
    monkeypatch.setattr(comparison.figure_files, "save", lambda *_: None)
    monkeypatch.setattr(comparison, "open_table", lambda _: Lookup())
    comparison.report({"EDD": [tmp_path]}, table="table", figure="figure.png")
    ((end,),) = drawn[0]["ends"].values()
    assert drawn[0]["table_tag"] == "table/cifar10_test"
    assert (end["genotype"], end["accuracy/discretized"], end["table/cifar10_test"]) == ("|b~0|", 0.75, 94.0)
