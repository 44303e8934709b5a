"""Small files written whole or not at all: JSON, text and JSON lines."""

import contextlib
import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tf_edd.errors import UserError

TEMPORARY = ".tf_edd-tmp-"
_SHOWN = 200  # characters of what cannot be read

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file has the name of the folder, it is not a folder",
    errno.EISDIR: "it is a folder, not a file",
}


def write_error(path, error: Exception) -> UserError:
    """The error to raise when `path` could not be written.

    Args:
        path: what was to be written.
        error: the failure; an `OSError` tells its reason.

    Returns:
        An error that names the path and the reason, and says that the last complete file is still there.
    """
    reason = _REASONS.get(getattr(error, "errno", None), getattr(error, "strerror", None) or str(error))
    return UserError(f"Cannot write {path}: {reason}. What was complete before is kept. Received: {error}")


def make_folder(path) -> Path:
    """The folder `path`, made with its parents if it is not there.

    Raises:
        UserError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    return Path(path)


@contextlib.contextmanager
def temporary_folder(beside=None) -> Iterator[str]:
    """A folder that is gone afterwards, in `beside` or where the system has such folders.

    Raises:
        UserError: it cannot be made.
    """
    try:
        made = tempfile.mkdtemp(prefix=TEMPORARY, dir=beside)
    except OSError as error:
        raise UserError(
            "Expected a folder for temporary files that can be written (the environment variable TMPDIR names one). "
            f"Received: {error}"
        ) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_leftovers(folder) -> None:
    """Removes the temporary files and folders that killed writes have left in `folder` and below.

    Raises:
        UserError: they cannot be removed.
    """
    try:
        for path in list(Path(folder).rglob(f"{TEMPORARY}*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)  # it may have lain in a folder that is gone
    except OSError as error:
        raise write_error(folder, error) from error


def write_text(path, text: str) -> None:
    """Writes `text` to `path` atomically: a reader sees the old file or the new one, never a part.

    The text goes to a temporary file of the same folder, is flushed to the disk, then takes the name.

    Raises:
        UserError: full disk, read-only folder and the like; an older file is left as it was.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        with open(temporary, "x", encoding="utf-8") as file:  # with the mode that the umask gives, unlike mkstemp
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise write_error(path, error) from error


def write_json(path, content: Any) -> None:
    """Writes `content` as JSON, atomically; NumPy scalars and arrays become numbers and lists.

    Raises:
        UserError: as `write_text`.
    """
    write_text(path, json.dumps(content, indent=2, default=_plain) + "\n")


def write_lines(path, lines: Iterable[str | dict]) -> None:
    """Writes all lines anew, atomically; a dict becomes one line of JSON.

    Rewriting the whole file keeps a record such as `genotypes.jsonl` equal to the checkpointed history after a kill.

    Raises:
        UserError: as `write_text`.
    """
    texts = (line if isinstance(line, str) else json.dumps(line, default=_plain) for line in lines)
    write_text(path, "".join(text + "\n" for text in texts))


def append_line(path, record: dict) -> None:
    """Appends one line of JSON to a file and flushes it to the disk; what a kill has left of a line is removed first.

    Raises:
        UserError: as `write_text`; the lines before are left as they were.
    """
    try:
        with open(path, "rb+" if os.path.exists(path) else "wb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(json.dumps(record, default=_plain).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path, error) from error


def read_json(path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: no such file, or not complete JSON.
    """
    return _decode(read_text(path), path)


def read_object(path) -> dict:
    """The content of a JSON file that holds one object.

    Raises:
        UserError: as `read_json`, or something else than an object.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"Expected a JSON object, {{...}}. Received: {path}, which holds {str(content)[:_SHOWN]!r}")
    return content


def read_history(path) -> list[dict]:
    """The records of the epochs of a search: at least number and genotype.

    Raises:
        UserError: as `read_lines`, or a line that is no record of an epoch.
    """
    rows = read_lines(path)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"epoch", "genotype"} <= row.keys():
            raise UserError(f"{path}, line {number}: expected the record of an epoch. Received: {str(row)[:_SHOWN]}")
    return rows


def read_lines(path) -> list:
    """The records of a file of JSON lines.

    Raises:
        UserError: no such file, or a line that is not JSON.
    """
    lines = read_text(path).splitlines()
    return [_decode(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def read_appended(path) -> list:
    """The records of a file that `append_line` writes, without a last line that a kill has cut short.

    Raises:
        UserError: no such file, or a whole line that is not JSON.
    """
    lines = read_text(path).split("\n")[:-1]
    return [_decode(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def read_text(path) -> str:
    """The text of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # bytes that are no UTF-8, a path that is none
        raise UserError(f"Expected a readable text file. Received: {path} ({error})") from error


def _decode(text: str, origin) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError(f"Expected JSON of moderate depth. Received: {origin}, which is nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits is no JSONDecodeError
        reason = str(error)[:_SHOWN]
        raise UserError(f"Expected complete JSON, perhaps it was truncated. Received: {origin} ({reason})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"Expected something JSON can hold. Received: {type(value).__name__}")
