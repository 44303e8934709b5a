"""The quickstart: every phase in one call, and a second call that only reports."""

from types import SimpleNamespace

import gin
import pytest
from absl.testing import flagsaver

from launch import common, quickstart
from tf_edd.errors import UserError
from tf_edd.runtime import files, model_dir

TINY = (
    "epochs = 1",
    "search.split = (64, 64)",
    "skip_unused = False",  # quicker to trace
    "nas_bench_201.init_channels = 4",
    "retrain/nas_bench_201.init_channels = 4",
    "retrain.epochs = 1",
    "retrain/CosineRate.epochs = 1",
)


@pytest.fixture
def launched(capsys):
    def call(*arguments):
        with flagsaver.flagsaver():
            common.FLAGS(["program", *arguments, *(f"--gin_param={binding}" for binding in TINY)])
            status = common._guard(quickstart.main)
        printed = capsys.readouterr()
        return status, printed.err if status else printed.out

    yield call
    gin.clear_config()


def test_dry_run_describes_all_phases(launched, tmp_path):
    status, out = launched(f"--model_dir={tmp_path / 'run'}", "--dry_run")
    assert status == 0 and not (tmp_path / "run").exists()
    facts, _, gin_text = out.partition("Configuration in gin")
    search, retrain, evaluate, export = facts.strip().split("\n\n")
    assert search.startswith("1. search") and "1 epoch x 2 steps" in search
    assert retrain.startswith("2. retrain") and "steps_per_epoch  22" in retrain
    assert "parameters       of the searched cell" in retrain
    assert evaluate.startswith("3. evaluate") and export.startswith("4. export")
    assert "epochs = 1" in gin_text


@pytest.mark.parametrize("phase", ["search", "retrain"])
def test_a_finished_phase_of_another_configuration_is_refused(launched, tmp_path, phase):
    record = {"seed": 1, "deterministic": False}
    folder = model_dir.open_model_dir(tmp_path, phase, record, "search.epochs = 99\n")
    files.write_json(folder / "results.json", {"epochs": 99})
    status, error = launched(f"--model_dir={tmp_path}", "--seed=2")
    assert status == 2 and f"that {folder} was started with" in error
    lines = error.splitlines()
    assert "  seed: started with 1, received 2" in lines
    assert any(line.startswith("  search.epochs: started with '99', received ") for line in lines)


SKIP, CONV = "|skip_connect~0|+|none~1|", "|skip_connect~0|+|nor_conv_1x1~1|"


def kept(folder, **cells):
    """A folder that holds finished phases of these cells."""
    names = {"search": "genotype.json", "retrain": "results.json", "export": "model_card.json"}
    for phase, cell in cells.items():
        files.write_json(folder / phase / names[phase], {"text" if phase == "search" else "genotype": cell})
    return folder


@pytest.mark.parametrize(
    "cells",
    [
        {"search": SKIP},
        {"search": SKIP, "retrain": SKIP},
        {"search": SKIP, "retrain": SKIP, "export": SKIP},
        {"retrain": SKIP, "export": SKIP},
    ],
)
def test_phases_of_one_cell_are_one_run(tmp_path, cells):
    quickstart.check_cells(kept(tmp_path, **cells))


@pytest.mark.parametrize(
    "cells, phase, before",
    [
        ({"search": SKIP, "retrain": CONV}, "retrain", "search"),
        ({"search": SKIP, "retrain": CONV, "export": CONV}, "retrain", "search"),
        ({"search": SKIP, "retrain": SKIP, "export": CONV}, "export", "retrain"),
        ({"search": SKIP, "export": CONV}, "export", "search"),
    ],
)
def test_what_belongs_to_another_cell_is_refused(tmp_path, cells, phase, before):
    with pytest.raises(UserError) as error:
        quickstart.check_cells(kept(tmp_path, **cells))
    told = str(error.value)
    assert f"what {tmp_path / phase} holds to be of the cell of {tmp_path / before}, {SKIP}. Rec" in told
    assert f"Received: one of {CONV}. " in told
    assert f"remove {tmp_path / 'retrain'} and {tmp_path / 'export'}" in told and "another --model_dir" in told


def test_the_program_refuses_before_it_reports(launched, tmp_path, monkeypatch):
    kept(tmp_path, search=SKIP, retrain=CONV, export=CONV)
    monkeypatch.setattr(quickstart, "unfinished", lambda: [])
    status, error = launched(f"--model_dir={tmp_path}")
    assert status == 2 and SKIP in error and CONV in error


def test_overwrite_runs_every_phase_anew(launched, tmp_path, monkeypatch):
    """Phases that are finished, of another configuration and of different cells."""
    for phase in ("search", "retrain"):
        folder = model_dir.open_model_dir(tmp_path, phase, {"seed": 1}, "search.epochs = 99\n", overwrite=True)
        files.write_json(folder / "results.json", {"genotype": CONV})
    kept(tmp_path, search=SKIP, retrain=CONV, export=SKIP)
    calls = []

    def bound(function):
        return lambda folder, **named: calls.append((function.__name__, named.get("overwrite")))

    monkeypatch.setattr(common, "setup", lambda *arguments: SimpleNamespace(chief=True))
    monkeypatch.setattr(common, "bound", bound)
    monkeypatch.setattr(quickstart, "report", lambda folder: "all phases")
    status, out = launched(f"--model_dir={tmp_path}", "--overwrite")
    assert (status, out) == (0, "all phases\n")
    assert calls == [("search", True), ("retrain", True), ("evaluate", None), ("export", True)]


@pytest.mark.slow
def test_runs_every_phase_once_and_reports(launched, tmp_path):
    status, out = launched(f"--model_dir={tmp_path}")
    assert status == 0
    rows = {line[:14].strip(): line[14:].strip() for line in out.splitlines()}
    assert rows["Searched cell"] == files.read_json(tmp_path / "search" / "genotype.json")["text"]
    evaluation = files.read_json(tmp_path / "retrain" / "evaluation.json")
    assert rows["Test accuracy"] == f"{evaluation['accuracy']:.4f} on 359 images of digits"
    for line in ("The cell", "The model"):
        assert (tmp_path / rows[line].split()[0].removeprefix(f"{tmp_path}/")).exists()

    results = [tmp_path / name for name in ("search/results.json", "retrain/results.json", "export/model_card.json")]
    before = [path.stat().st_mtime_ns for path in results]
    status, again = launched(f"--model_dir={tmp_path}")
    assert status == 0 and again.splitlines() == out.splitlines()
    assert [path.stat().st_mtime_ns for path in results] == before
