"""The folder of a run: made once, recognized on resume, never overwritten silently.

    model_dir/
      environment.json   marks the folder as one of this package; the machine and command of its first program
      .tf_edd.lock       while a program writes here (`runtime.folder_lock`)
      config.gin         the configuration of that program, for readers
      <phase>/           search, retrain, export ...
        record.json      every part and setting that the phase was started with (`runtime.record`)
        config.gin       the gin bindings among them, for readers and for later programs; empty from Python
        environment.json the machine and command that started it
        results.json     written by the phase as its last file: the phase is finished

A search and a retraining may share a model_dir and have different configurations: each phase is compared with its own
record only.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tf_edd.errors import UserError
from tf_edd.runtime import environment, files, folder_lock
from tf_edd.runtime.file_names import GENOTYPE, RESULTS
from tf_edd.runtime.record import differences

MARKER = "environment.json"
RECORD = "record.json"
CONFIG = "config.gin"

_FORMAT = "tf_edd model_dir"
_SHOWN = 100  # characters of a path that cannot be one


def open_model_dir(
    path, phase: str, record: Mapping, config: str = "", overwrite: bool = False, chief: bool = True
) -> Path:
    """The folder of `phase` in `path`, new or to be continued; `path` is locked for this process.

    The lock is held until the process ends, or to the end of `folder_lock.released_after(path)` around the call.

    Args:
        path: the model_dir.
        phase: "search", "retrain", ...: the name of the sub-folder.
        record: every part and setting that decides the numbers, JSON-able (`runtime.record.describe`).
        config: gin text of the phase (`runtime.config.config_text`); it is kept, not compared.
        overwrite: remove what the phase has left, finished or not, and start anew.
        chief: whether this process writes; the other workers only check.

    Returns:
        The folder `path/phase`.

    Raises:
        UserError: a folder of something else, one in which another process works, a finished phase, another record than
            the one it was started with (the differences are named), or a folder that cannot be written.
    """
    path = Path(path)
    folder = path / phase
    record = json.loads(json.dumps({"phase": phase, **record}))  # as it will be read back: tuples are lists
    _check(path, folder, record, overwrite)
    if chief:
        folder_lock.acquire(path)
        _check(path, folder, record, overwrite)  # another process may have finished the phase meanwhile
        if overwrite:
            _remove(folder)
        files.remove_leftovers(folder)
        _write_records(path, folder, config, record)
    return folder


def check_model_dir(path, phase: str, record: Mapping) -> None:
    """The checks of `open_model_dir`, without writing.

    Raises:
        UserError: as `open_model_dir`.
    """
    open_model_dir(path, phase, record, chief=False)


def has_results(folder) -> bool:
    """Whether a phase is finished; a damaged or empty file of results does not count."""
    try:
        return bool(files.read_object(Path(folder) / RESULTS))
    except UserError:
        return False


def finished(path, phase: str, config: str, **settings) -> bool:
    """Whether the phase has written its results, those of this configuration.

    Args:
        path: the model_dir.
        phase: the name of the sub-folder.
        config: gin text of the phase.
        settings: those values of its record that are known without starting it, such as the seed.

    Raises:
        UserError: the phase is finished and was started with another configuration (the difference is shown).
    """
    folder = Path(path) / phase
    if not has_results(folder):
        return False
    before = {**read_record(folder), **_bindings(files.read_text(folder / CONFIG))}
    now = {**read_record(folder), **settings, **_bindings(config)}
    _refuse(folder, before, now)
    return True


def read_record(folder) -> dict:
    """What a phase was started with.

    Raises:
        UserError: it was never started, or its record is no longer one.
    """
    record = files.read_object(Path(folder) / RECORD)
    if not record:
        raise UserError(f"Expected the record of a phase. Received: {Path(folder) / RECORD}, which is empty")
    return record


def _bindings(config: str) -> dict[str, str]:
    """Name -> value of the bindings of a gin text, as a record to compare."""
    found, name = {}, ""
    for line in config.splitlines():
        if line[:1].isspace():  # the value of the last line goes on
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            name, _, value = line.partition(" = ")
            found[name] = value.rstrip(" \\")
    return found


def _check(path: Path, folder: Path, record: dict, overwrite: bool) -> None:
    _check_ours(path)
    if not overwrite:
        _check_unfinished(folder, path)
        _check_same(folder, record)


def _check_ours(path: Path) -> None:
    if not _exists(path):
        return
    if not path.is_dir():
        raise UserError(f"Expected --model_dir to be a folder. Received: {path}, which is a file")
    names = [name for name in _list(path) if not name.startswith((files.TEMPORARY, folder_lock.LOCK))]
    if names and not _marked(path):
        raise UserError(
            f"Expected --model_dir to be new, empty or the folder of an earlier run. Received: {path}, which holds "
            f"other files ({', '.join(sorted(names)[:5])}). Nothing was changed; give another --model_dir"
        )


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # a name that is too long, or that holds a null byte
        raise UserError(
            f"Expected a usable --model_dir. Received: {str(path)[:_SHOWN]!r} ({error.args[-1]})"
        ) from error
    return True


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
    if has_results(folder):
        reader = f" (tf_edd.SearchResult.load({str(path)!r}) reads it)" if folder.name == "search" else ""
        raise UserError(
            f"Expected a new run or one to continue. Received: {path}, whose {folder.name} is finished; its result is "
            f"{folder / RESULTS}{reader}. For another run give another --model_dir{_cell(folder)}, or --overwrite to "
            "start anew here"
        )


def _cell(folder: Path) -> str:
    """What a retraining in another folder needs beside."""
    cell = folder.parent / "search" / GENOTYPE
    return f" with --genotype={cell}" if folder.name == "retrain" and cell.is_file() else ""


def _check_same(folder: Path, record: dict) -> None:
    if (folder / RECORD).exists():
        _refuse(folder, read_record(folder), record)


def _refuse(folder: Path, before: dict, now: dict) -> None:
    """Raises UserError where two records differ."""
    if lines := differences(before, now):
        raise UserError(
            f"Expected the configuration that {folder} was started with. Received: another one\n"
            + "\n".join(lines)
            + "\nTo continue, give the command it was started with; for another run give another --model_dir"
            f"{_cell(folder)}, or --overwrite to start anew here{_threads(before, now)}"
        )


def _threads(before: dict, now: dict) -> str:
    """How a deterministic run continues with other processors."""
    if not any(name.endswith("_threads") and before[name] != now.get(name) for name in before):
        return ""
    return ". The environment variables TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS set the numbers of threads"


def _write_records(path: Path, folder: Path, config: str, record: dict) -> None:
    described = {"format": _FORMAT, **environment.describe()}
    if not _marked(path):
        files.write_json(path / MARKER, described)  # first: with it a killed start is recognized as ours
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
        doomed = Path(tempfile.mkdtemp(prefix=files.TEMPORARY, dir=folder.parent))
        folder.replace(doomed / folder.name)
        shutil.rmtree(doomed)
    except OSError as error:
        raise files.write_error(folder, error) from error
