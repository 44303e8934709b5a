"""tf_edd.runtime.model_dir: nothing is overwritten silently."""

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.model_dir import check_model_dir, finished, open_model_dir, read_record

CONFIG = "# Parameters for search:\nsearch.epochs = 3\n"


def record(seed=0, deterministic=True, gain=0.06, **more):
    temperature = {"@": "EntropyDecay", "entropy_gain": gain, "momentum": 0.5}
    method = {"@": "Method", "temperature": temperature, "regularizers": []}
    return {"seed": seed, "deterministic": deterministic, "method": method, **more}


def start(path, phase="search", config=CONFIG, overwrite=False, chief=True, **values):
    return open_model_dir(path, phase, record(**values), config, overwrite, chief)


def is_finished(path, phase, config=CONFIG, seed=0, deterministic=True):
    return finished(path, phase, config, seed=seed, deterministic=deterministic)


def tree(path):
    return {str(entry.relative_to(path)): entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}


def test_a_new_folder_is_recorded(tmp_path):
    folder = start(tmp_path / "run", sizes=(1, 2))
    assert folder == tmp_path / "run" / "search"
    assert (folder / "config.gin").read_text() == (tmp_path / "run" / "config.gin").read_text() == CONFIG
    expected = {"phase": "search", **record(), "sizes": [1, 2]}
    assert files.read_json(folder / "record.json") == read_record(folder) == expected
    described = files.read_json(tmp_path / "run" / "environment.json")
    assert {"tensorflow", "keras", "python", "tf_edd"} <= set(described["versions"])
    assert any("CPU" in device for device in described["devices"]) and described["command"]


def test_the_same_record_continues_and_changes_nothing(tmp_path):
    start(tmp_path, sizes=(1, 2))
    before = tree(tmp_path)
    check_model_dir(tmp_path, "search", record(sizes=(1, 2)))
    start(tmp_path, sizes=(1, 2))
    assert tree(tmp_path) == before


def test_the_gin_text_is_kept_and_not_compared(tmp_path):
    start(tmp_path)
    before = tree(tmp_path)
    start(tmp_path, config="search.epochs = %epochs\nepochs = 3\n")
    start(tmp_path, config="")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "change, told",
    [
        ({"seed": 1}, "  seed: started with 0, received 1"),
        ({"deterministic": False}, "  deterministic: started with True, received False"),
        ({"gain": 0.24}, "  method.temperature.entropy_gain: started with 0.06, received 0.24"),
        ({"space": (1,)}, "  space.0: started with nothing, received 1"),
    ],
)
def test_another_record_is_refused_with_the_difference(tmp_path, change, told):
    start(tmp_path)
    before = tree(tmp_path)
    for check in (lambda: start(tmp_path, **change), lambda: check_model_dir(tmp_path, "search", record(**change))):
        with pytest.raises(UserError) as refusal:
            check()
        assert [line for line in str(refusal.value).splitlines() if line.startswith("  ")] == [told]
    assert tree(tmp_path) == before


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"seed": 0'])
def test_a_damaged_record_is_told(tmp_path, text):
    folder = start(tmp_path)
    files.write_json(folder / "results.json", {})
    (folder / "record.json").write_text(text)
    for read in (lambda: read_record(folder), lambda: is_finished(tmp_path, "search")):
        with pytest.raises(UserError, match="record.json"):
            read()
    (folder / "results.json").unlink()
    with pytest.raises(UserError, match="record.json"):
        start(tmp_path)
    start(tmp_path, overwrite=True)
    assert read_record(folder) == {"phase": "search", **record()}


def test_a_phase_that_was_never_started_has_no_record(tmp_path):
    with pytest.raises(UserError, match="record.json"):
        read_record(tmp_path / "search")


def test_phases_share_a_folder_with_configurations_of_their_own(tmp_path):
    start(tmp_path)
    start(tmp_path, phase="retrain", config="retrain.epochs = 9\n", seed=3, epochs=9)
    start(tmp_path)
    assert (tmp_path / "retrain" / "config.gin").read_text() == "retrain.epochs = 9\n"
    with pytest.raises(UserError, match="epochs: started with 9, received 8"):
        start(tmp_path, phase="retrain", config="retrain.epochs = 8\n", seed=3, epochs=8)


def test_a_finished_phase_is_refused_and_named(tmp_path):
    folder = start(tmp_path)
    files.write_json(folder / "results.json", {})
    told = r"search is finished.*results.json \(tf_edd.SearchResult.load\(.*\) reads it\).*another --model_dir"
    with pytest.raises(UserError, match=told):
        start(tmp_path)
    assert is_finished(tmp_path, "search") and not is_finished(tmp_path, "retrain")
    files.write_json(start(tmp_path, phase="retrain") / "results.json", {})
    with pytest.raises(UserError, match="retrain is finished; its result is [^ ]*results.json. For another"):
        start(tmp_path, phase="retrain")


def test_a_finished_phase_of_another_configuration_is_refused(tmp_path):
    files.write_json(start(tmp_path, data="digits") / "results.json", {})
    assert is_finished(tmp_path, "search")  # what the record holds beside is not asked for
    assert is_finished(tmp_path, "search", config=CONFIG.replace("# Parameters", "# Other comment"))
    changes = {
        "search.epochs = 4": {"config": CONFIG.replace("3", "4")},
        "seed: started with 0, received 1": {"seed": 1},
        "deterministic: started with True, received False": {"deterministic": False},
    }
    for told, change in changes.items():
        with pytest.raises(UserError, match=f"(?s)was started with. Received: another one.*{told}"):
            is_finished(tmp_path, "search", **change)


def test_what_killed_writes_have_left_is_removed_at_the_next_start(tmp_path):
    folder = start(tmp_path)
    before = tree(tmp_path)
    for name in ("", "cells"):
        (folder / name / f"{files.TEMPORARY}folder").mkdir(parents=True)
        (folder / name / f"{files.TEMPORARY}folder" / f"{files.TEMPORARY}inner").write_text("half")
        (folder / name / f"{files.TEMPORARY}file").write_text("half")
    start(tmp_path, chief=False)
    assert len(tree(tmp_path)) == len(before) + 4
    start(tmp_path)
    assert tree(tmp_path) == before and not list(folder.glob(f"{files.TEMPORARY}*"))


def test_overwrite_removes_the_phase_and_nothing_else(tmp_path):
    files.write_json(start(tmp_path) / "results.json", {})
    files.write_json(start(tmp_path, phase="retrain") / "results.json", {"accuracy": 1})
    folder = start(tmp_path, seed=5, overwrite=True)
    assert files.read_json(folder / "record.json")["seed"] == 5 and not is_finished(tmp_path, "search")
    assert files.read_json(tmp_path / "retrain" / "results.json") == {"accuracy": 1}


@pytest.mark.parametrize("name, content", [("thesis.txt", "x"), ("environment.json", "{}"), ("environment.json", "{")])
def test_a_foreign_folder_is_left_alone(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=f"{name}.*Nothing was changed"):
            start(tmp_path, overwrite=overwrite)
    assert tree(tmp_path) == {name: content.encode()}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="which is a file"):
        start(tmp_path / "file")
    with pytest.raises(UserError, match="Cannot write"):
        start(tmp_path / "file" / "run")


def test_a_kill_while_the_records_were_written_is_no_obstacle(tmp_path):
    (tmp_path / f"{files.TEMPORARY}x").write_text("half")  # the marker was never renamed
    folder = start(tmp_path)
    (folder / "record.json").unlink()  # killed before the last record
    (folder / "config.gin").write_text("search.epochs = 99\n")
    start(tmp_path)
    assert (folder / "config.gin").read_text() == CONFIG


def test_only_the_chief_writes(tmp_path):
    path = tmp_path / "run"
    assert start(path, chief=False) == path / "search"
    assert not path.exists()
    start(path)
    with pytest.raises(UserError, match="seed"):
        start(path, seed=1, chief=False)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UserError, match="the disk is full"):
        start(tmp_path / "run")
