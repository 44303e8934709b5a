"""tf_edd.runtime.model_dir: nothing is overwritten silently."""

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.model_dir import check_model_dir, finished, open_model_dir

CONFIG = "# Parameters for search:\nsearch.epochs = 3\n"


def start(path, phase="search", config=CONFIG, seed=0, **kwargs):
    return open_model_dir(path, phase, config, seed, kwargs.pop("settings", {"deterministic": True}), **kwargs)


def is_finished(path, phase, config=CONFIG, seed=0, settings=None):
    return finished(path, phase, config, seed, settings or {"deterministic": True})


def tree(path):
    return {str(entry.relative_to(path)): entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}


def test_a_new_folder_is_recorded(tmp_path):
    folder = start(tmp_path / "run")
    assert folder == tmp_path / "run" / "search"
    assert (folder / "config.gin").read_text() == CONFIG
    assert files.read_json(folder / "record.json") == {
        "phase": "search",
        "seed": 0,
        "settings": {"deterministic": True},
    }
    described = files.read_json(tmp_path / "run" / "environment.json")
    assert {"tensorflow", "keras", "python", "tf_edd"} <= set(described["versions"])
    assert any("CPU" in device for device in described["devices"]) and described["command"]


def test_the_same_configuration_continues_and_changes_nothing(tmp_path):
    start(tmp_path)
    before = tree(tmp_path)
    check_model_dir(tmp_path, "search", CONFIG, 0, {"deterministic": True})
    start(tmp_path, config=CONFIG.replace("# Parameters", "# Other comment"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "change, told",
    [
        ({"config": "search.epochs = 4\n"}, ["-search.epochs = 3", "+search.epochs = 4"]),
        ({"seed": 1}, ["-seed: 0", "+seed: 1"]),
        ({"settings": {"deterministic": False}}, ["-deterministic: true", "+deterministic: false"]),
        ({"settings": {"deterministic": True, "space": (1, 2)}}, ["+space: [1, 2]"]),
    ],
)
def test_another_configuration_is_refused_with_the_difference(tmp_path, change, told):
    start(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(UserError) as refusal:
        start(tmp_path, **change)
    for line in told:
        assert line in str(refusal.value).splitlines()
    assert tree(tmp_path) == before


def test_phases_share_a_folder_with_configurations_of_their_own(tmp_path):
    start(tmp_path)
    start(tmp_path, phase="retrain", config="retrain.epochs = 9\n", seed=3)
    start(tmp_path)
    with pytest.raises(UserError, match="retrain.epochs = 9"):
        start(tmp_path, phase="retrain", config="retrain.epochs = 8\n", seed=3)


def test_a_finished_phase_is_refused_and_named(tmp_path):
    folder = start(tmp_path)
    files.write_json(folder / "results.json", {})
    with pytest.raises(UserError, match="search is finished.*results.json.*another --model_dir"):
        start(tmp_path)
    assert is_finished(tmp_path, "search") and not is_finished(tmp_path, "retrain")
    start(tmp_path, phase="retrain")


def test_a_finished_phase_of_another_configuration_is_refused(tmp_path):
    files.write_json(start(tmp_path, settings={"deterministic": True, "data": "digits"}) / "results.json", {})
    assert is_finished(tmp_path, "search")  # what the record holds beside is not asked for
    for change in ({"config": CONFIG.replace("3", "4")}, {"seed": 1}, {"settings": {"deterministic": False}}):
        with pytest.raises(UserError, match="was started with. Received: another one"):
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
