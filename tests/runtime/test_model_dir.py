"""tf_edd.runtime.model_dir: nothing is overwritten silently."""

import fcntl

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import files, folder_lock
from tf_edd.runtime.model_dir import check_model_dir, finished, has_results, open_model_dir, read_record

CONFIG = "# Parameters for search:\nsearch.epochs = 3\n"
RESULTS = {"epochs": 3}


def record(seed=0, deterministic=True, gain=0.06, **more):
    temperature = {"@": "EntropyDecay", "entropy_gain": gain, "momentum": 0.5}
    method = {"@": "Method", "temperature": temperature, "regularizers": []}
    return {"seed": seed, "deterministic": deterministic, "method": method, **more}


def start(path, phase="search", config=CONFIG, overwrite=False, chief=True, **values):
    return open_model_dir(path, phase, record(**values), config, overwrite, chief)


@pytest.fixture(autouse=True)
def nothing_is_held():
    yield
    for folder in list(folder_lock._HELD):
        folder_lock.release(folder)


def is_finished(path, phase, config=CONFIG, seed=0, deterministic=True):
    return finished(path, phase, config, seed=seed, deterministic=deterministic)


def tree(path):
    found = {str(entry.relative_to(path)): entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}
    return {name: content for name, content in found.items() if name != folder_lock.LOCK}


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


@pytest.mark.parametrize("text", ["[]", "null", "3", "{}", '{"seed": 0'])
def test_a_damaged_record_is_told(tmp_path, text):
    folder = start(tmp_path)
    files.write_json(folder / "results.json", RESULTS)
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
    files.write_json(folder / "results.json", RESULTS)
    told = r"search is finished.*results.json \(tf_edd.SearchResult.load\(.*\) reads it\).*another --model_dir"
    with pytest.raises(UserError, match=told):
        start(tmp_path)
    assert is_finished(tmp_path, "search") and not is_finished(tmp_path, "retrain")
    files.write_json(start(tmp_path, phase="retrain") / "results.json", RESULTS)
    with pytest.raises(UserError, match="retrain is finished; its result is [^ ]*results.json. For another"):
        start(tmp_path, phase="retrain")


def test_a_finished_phase_of_another_configuration_is_refused(tmp_path):
    files.write_json(start(tmp_path, data="digits") / "results.json", RESULTS)
    assert is_finished(tmp_path, "search")  # what the record holds beside is not asked for
    assert is_finished(tmp_path, "search", config=CONFIG.replace("# Parameters", "# Other comment"))
    changes = {
        "search.epochs: started with '3', received '4'": {"config": CONFIG.replace("3", "4")},
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
    files.write_json(start(tmp_path) / "results.json", RESULTS)
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


@pytest.mark.parametrize("text", ["{}", "", "null", "[]", '{"epochs": 3'])
def test_damaged_results_do_not_make_a_phase_finished(tmp_path, text):
    folder = start(tmp_path)
    (folder / "results.json").write_text(text)
    assert not has_results(folder) and not is_finished(tmp_path, "search")
    assert start(tmp_path) == folder
    files.write_json(folder / "results.json", RESULTS)
    assert has_results(folder)


def test_a_finished_retraining_names_the_cell_for_another_folder(tmp_path):
    files.write_json(tmp_path / "search" / "genotype.json", {})
    files.write_json(tmp_path / "environment.json", {"format": "tf_edd model_dir"})
    files.write_json(start(tmp_path, phase="retrain") / "results.json", RESULTS)
    told = "another --model_dir with --genotype=.*search/genotype.json, or --overwrite to start anew"
    with pytest.raises(UserError, match=told):
        start(tmp_path, phase="retrain")
    (tmp_path / "retrain" / "results.json").unlink()
    with pytest.raises(UserError, match=f"(?s)seed: started with 0, received 1.*{told}"):
        start(tmp_path, phase="retrain", seed=1)


def test_bindings_of_several_lines_are_compared_whole(tmp_path):
    config = "import email\nsearch.actions = \\\n    (@A(),\n     @B())\nsearch.epochs = 3\n"
    files.write_json(start(tmp_path, config=config) / "results.json", RESULTS)
    assert is_finished(tmp_path, "search", config=f"# another comment\n{config}")
    with pytest.raises(UserError) as refusal:
        is_finished(tmp_path, "search", config=config.replace("@B", "@C"))
    lines = [line for line in str(refusal.value).splitlines() if line.startswith("  ")]
    assert lines == ["  search.actions: started with '(@A(), @B())', received '(@A(), @C())'"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_folder_can_have_is_one_short_error(tmp_path, name):
    for check in (lambda: start(tmp_path / name), lambda: check_model_dir(tmp_path / name, "search", record())):
        with pytest.raises(UserError, match="Expected a usable --model_dir. Received: ") as refusal:
            check()
        assert len(str(refusal.value)) < 250
    assert not list(tmp_path.iterdir())


def test_a_folder_in_which_another_process_works_is_left_alone(tmp_path):
    start(tmp_path)
    folder_lock.release(tmp_path)
    before = tree(tmp_path)
    with open(tmp_path / folder_lock.LOCK, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for overwrite in (False, True):
            with pytest.raises(UserError, match="in which no other process works"):
                start(tmp_path, overwrite=overwrite)
        check_model_dir(tmp_path, "search", record())  # a dry run and the other workers only read
        start(tmp_path, chief=False)
    (tmp_path / folder_lock.LOCK).unlink()
    assert tree(tmp_path) == before


def test_a_lock_makes_no_folder_foreign_and_a_refusal_takes_none(tmp_path):
    (tmp_path / folder_lock.LOCK).write_text("of a killed process")
    files.write_json(start(tmp_path) / "results.json", RESULTS)
    folder_lock.release(tmp_path)
    with pytest.raises(UserError, match="is finished"):
        start(tmp_path)
    assert not (tmp_path / folder_lock.LOCK).exists() and not folder_lock._HELD


def test_a_phase_that_ended_while_the_lock_was_waited_for_is_finished(tmp_path, monkeypatch):
    folder = start(tmp_path)
    acquire = folder_lock.acquire

    def late(path):
        acquire(path)
        files.write_json(folder / "results.json", RESULTS)

    monkeypatch.setattr(folder_lock, "acquire", late)
    with pytest.raises(UserError, match="is finished"):
        start(tmp_path)
