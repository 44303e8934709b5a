"""The folder of a run: made once, recognised on resume, never overwritten silently.

    model_dir/
      environment.json   marks the folder as one of this package; the machine and command of its first program
      config.gin         the configuration of that program, for readers
      <phase>/           search, retrain, export ...
        record.json      seed and settings that the phase was started with
        config.gin       the bindings it was started with
        environment.json the machine and command that started it
        results.json     written by the phase as its last file: the phase is finished

A search and a retraining may share a model_dir and have different configurations: each phase is compared with its own
record only.
"""

import difflib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tf_edd.errors import UserError
from tf_edd.runtime import environment, files

MARKER = "environment.json"
RECORD = "record.json"
CONFIG = "config.gin"
RESULTS = "results.json"
_FORMAT = "tf_edd model_dir"


def open_model_dir(
    path, phase: str, config: str, seed: int, settings: Mapping, overwrite: bool = False, chief: bool = True
) -> Path:
    """The folder of `phase` in `path`, new or to be continued.

    Args:
        path: the model_dir.
        phase: "search", "retrain", ...: the name of the sub-folder.
        config: gin text of the phase (`runtime.config.config_text`).
        seed: its seed.
        settings: what else decides the numbers (deterministic, genotype, ...), JSON-able and flat.
        overwrite: remove what the phase has left, finished or not, and start anew.
        chief: whether this process writes; the other workers only check.

    Returns:
        The folder `path/phase`.

    Raises:
        UserError: a folder of something else, a finished phase, another configuration than the one it was started
            with (the difference is shown), or a folder that cannot be written.
    """
    path = Path(path)
    folder = path / phase
    record = _jsonable({"phase": phase, "seed": seed, "settings": dict(settings)})
    _check_ours(path)
    if overwrite and chief:
        _remove(folder)
    if not overwrite:
        _check_unfinished(folder, path)
        _check_same(folder, config, record)
    if chief:
        files.remove_leftovers(folder)
        _write_records(path, folder, config, record)
    return folder


def check_model_dir(path, phase: str, config: str, seed: int, settings: Mapping) -> None:
    """The checks of `open_model_dir`, without writing.

    Raises:
        UserError: as `open_model_dir`.
    """
    open_model_dir(path, phase, config, seed, settings, chief=False)


def finished(path, phase: str, config: str, seed: int, settings: Mapping) -> bool:
    """Whether the phase has written its results, those of this configuration.

    Args:
        path: the model_dir.
        phase: the name of the sub-folder.
        config: gin text of the phase.
        seed: its seed.
        settings: those of its settings that are known without starting it; only they are compared.

    Raises:
        UserError: the phase is finished and was started with another configuration (the difference is shown).
    """
    folder = Path(path) / phase
    if not (folder / RESULTS).is_file():
        return False
    recorded = files.read_json(folder / RECORD)["settings"]
    _check_same(folder, config, _jsonable({"phase": phase, "seed": seed, "settings": {**recorded, **settings}}))
    return True


def _check_ours(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"Expected --model_dir to be a folder. Received: {path}, which is a file")
    names = [name for name in _list(path) if not name.startswith(files.TEMPORARY)]
    if names and not _marked(path):
        raise UserError(
            f"Expected --model_dir to be new, empty or the folder of an earlier run. Received: {path}, which holds "
            f"other files ({', '.join(sorted(names)[:5])}). Nothing was changed; give another --model_dir"
        )


def _list(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError as error:
        raise UserError(f"Expected a readable --model_dir. Received: {path} ({error})") from error


def _marked(path: Path) -> bool:
    if not (path / MARKER).is_file():
        return False
    try:
        content = files.read_json(path / MARKER)
    except UserError:
        return False
    return isinstance(content, dict) and content.get("format") == _FORMAT


def _check_unfinished(folder: Path, path: Path) -> None:
    if (folder / RESULTS).exists():
        raise UserError(
            f"Expected a new run or one to continue. Received: {path}, whose {folder.name} is finished; its result is "
            f"{folder / RESULTS}. For another run give another --model_dir (or remove {folder})"
        )


def _check_same(folder: Path, config: str, record: dict) -> None:
    if not (folder / RECORD).exists():
        return
    before = _text(files.read_json(folder / RECORD), files.read_text(folder / CONFIG))
    now = _text(record, config)
    if before != now:
        raise UserError(
            f"Expected the configuration that {folder} was started with. Received: another one\n"
            + "\n".join(difflib.unified_diff(before, now, "started with", "received", lineterm="", n=0))
            + "\nTo continue, give the command it was started with; for another run give another --model_dir"
        )


def _text(record: dict, config: str) -> list[str]:
    """Lines to compare: a setting a line, then the bindings."""
    settings = {"seed": record.get("seed"), **record.get("settings", {})}
    lines = [f"{name}: {json.dumps(value, sort_keys=True)}" for name, value in sorted(settings.items())]
    return lines + [line for line in config.splitlines() if line.strip() and not line.startswith("#")]


def _write_records(path: Path, folder: Path, config: str, record: dict) -> None:
    described = {"format": _FORMAT, **environment.describe()}
    if not _marked(path):
        files.write_json(path / MARKER, described)  # first: with it a killed start is recognised as ours
    if not (path / CONFIG).exists():
        files.write_text(path / CONFIG, config)
    if not (folder / RECORD).exists():
        files.write_text(folder / CONFIG, config)
        files.write_json(folder / MARKER, described)
        files.write_json(folder / RECORD, record)  # last: with it the phase counts as started


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        # Renamed first: a kill in the middle must not leave checkpoints that look like those of the new run.
        condemned = Path(tempfile.mkdtemp(prefix=files.TEMPORARY, dir=folder.parent))
        folder.replace(condemned / folder.name)
        shutil.rmtree(condemned)
    except OSError as error:
        raise files.write_error(folder, error) from error


def _jsonable(content: dict) -> dict:
    """As it will be read back: tuples are lists, keys are strings."""
    return json.loads(json.dumps(content, default=str))
