"""Files of a run that something has damaged: one clear error each, never a traceback, a hang or a belief."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_edd import data
from tf_edd.analysis import comparison
from tf_edd.architectures import genotype as genotypes
from tf_edd.architectures.genotype import from_text
from tf_edd.architectures.table import COLUMNS, load_table
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.search.result import SearchResult
from tf_edd.search.selection import selection_record
from tf_edd.spaces import darts, nas_bench_201
from tf_edd.training.evaluate import read_results, score_saved_model
from tf_edd.training.records import load_network

SPACE = nas_bench_201()
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
OTHER = CELL.replace("avg_pool_3x3", "nor_conv_1x1")
DEEP, DIGITS = "[" * 100_000 + "]" * 100_000, "9" * 5000


def told(call, *arguments):
    """The message of the one error that a call ends with; it is short."""
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert len(str(error.value)) < 1500
    return str(error.value)


@pytest.mark.parametrize(
    "text", ["{}\n", "[]\n", "null\n", f"{DEEP}\n", f"{DIGITS}\n", '{"epoch": 1}\n', "{\n", "\0\n"]
)
def test_histories(tmp_path, text):
    folder = tmp_path / "search"
    files.write_json(folder / "results.json", {"epochs": 1})
    files.write_json(folder / "genotype.json", from_text(CELL, SPACE).to_json())
    (folder / "genotypes.jsonl").write_text(text)
    for read in (comparison.read_history, SearchResult.load):
        assert "genotypes.jsonl" in told(read, tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "", DEEP, DIGITS, '{"data": "digits"}'])
def test_results_of_a_retraining(tmp_path, text):
    (tmp_path / "retrain").mkdir()
    (tmp_path / "retrain" / "results.json").write_text(text)
    assert "results.json" in told(read_results, tmp_path)


@pytest.mark.parametrize("text", ["[]", "null", "", DEEP, DIGITS, f'{{"schema": {DIGITS}}}', "\0", '{"schema": 1}'])
def test_genotype_files(tmp_path, text):
    (tmp_path / "genotype.json").write_text(text)
    assert "genotype.json" in told(genotypes.load, str(tmp_path), SPACE)


@pytest.mark.parametrize(
    "space, text",
    [
        (SPACE, "|" + "none~0|" * 20_000),
        (SPACE, "|" + "~" * 100_000),
        (SPACE, "|none~" + "0" * 100_000 + "|"),
        (SPACE, CELL.split("+")[0] + "+|" + "none~0|" * 20_000 + "+" + CELL.split("+")[2]),
        (darts(4, 3), f"Genotype({'(' * 100_000})"),
        (darts(4, 3), f"Genotype(normal={DIGITS}, normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))"),
        (darts(4, 3), f"Genotype(normal=[{'-' * 50_000}1])"),
    ],
)
def test_cells_of_100_kilobytes(space, text):
    told(genotypes.load, text, space)


@pytest.mark.parametrize("field", ["x" * 200_000, '"' + "x" * 200_000])
def test_tables_with_a_field_that_is_too_long(tmp_path, field):
    row = ",".join(["0", CELL, *["1"] * (len(COLUMNS) - 2)])
    (tmp_path / "table.csv").write_text(f"{','.join(COLUMNS)}\n{row}\n{field}\n")
    assert "table.csv: expected a CSV" in told(load_table, tmp_path / "table.csv")


@pytest.fixture
def exported(tmp_path):
    """A SavedModel with variables."""
    model = tf.Module()
    model.weight = tf.Variable(np.zeros((64, 64), np.float32))
    tf.saved_model.save(model, str(tmp_path / "saved_model"))
    return tmp_path / "saved_model"


@pytest.mark.parametrize(
    "name, kept",
    [("saved_model.pb", 0.5), ("variables/variables.data-*", 0.5), ("variables/variables.index", 0.5)]
    + [("variables/variables.data-*", None), ("variables/variables.index", None), ("variables/variables.index", 0)],
)
def test_exported_models(exported, name, kept):
    """Cut to a share of their length, or missing."""
    (path,) = exported.glob(name)
    content = path.read_bytes()
    path.unlink() if kept is None else path.write_bytes(content[: int(kept * len(content))])
    assert str(exported) in told(score_saved_model, exported, data.Digits().load(), 64)


def test_exported_models_that_are_garbage(exported):
    (exported / "saved_model.pb").write_bytes(b"garbage" * 100)
    assert str(exported) in told(score_saved_model, exported, data.Digits().load(), 64)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"PK\x03\x04" + b"x" * 300])
def test_networks(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    assert "model.keras" in told(load_network, tmp_path)


def test_a_network_cut_short(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    assert "model.keras" in told(load_network, tmp_path)


def test_the_record_of_a_selection_is_that_of_the_chosen_cell(tmp_path):
    lines = [{"settings": {"selector": "RandomSearch"}}, *({"candidate": c, "fitness": f} for c, f in PAIRS)]
    (tmp_path / "selection.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = selection_record(tmp_path, from_text(CELL, SPACE), from_text(OTHER, SPACE))
    assert record["accuracy"] == 0.25 and record["discretized"] == OTHER


PAIRS = [(OTHER, 0.75), (CELL, 0.25)]
