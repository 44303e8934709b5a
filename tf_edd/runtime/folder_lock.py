"""A lock on a model_dir: one process at a time writes there, and what a killed process leaves never blocks.

The lock is one of the kernel (`flock`) on the file `.tf_edd.lock`, which also says who holds it. The kernel releases it
with the process, whatever ends that; the file alone means nothing. A process may take its own lock again.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from tf_edd.errors import UserError
from tf_edd.runtime import files

LOCK = ".tf_edd.lock"
_HELD: dict[str, int] = {}  # folder -> the descriptor by which this process holds its lock
_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)


def acquire(folder) -> None:
    """Takes the lock of a folder, which is made; it is held until `release` or the end of the process.

    Raises:
        UserError: Another process holds it, or the folder cannot be written.
    """
    name = _name(folder)
    if name in _HELD:
        return
    files.make_folder(folder)
    while name not in _HELD:  # again, where the holder removed the file between our opening and locking it
        descriptor = _open(Path(folder))
        try:
            if not _lock(descriptor, Path(folder)) or _is_file_of(descriptor, Path(folder)):
                _sign(descriptor)
                _HELD[name] = descriptor
        except OSError as error:
            raise files.write_error(Path(folder) / LOCK, error) from error
        finally:
            if name not in _HELD:
                os.close(descriptor)


def release(folder) -> None:
    """Gives the lock of a folder back, if this process holds it, and removes its file."""
    descriptor = _HELD.pop(_name(folder), None)
    if descriptor is None:
        return
    with contextlib.suppress(OSError):  # the folder may be gone or read-only; the lock itself ends with the descriptor
        if _is_file_of(descriptor, Path(folder)):
            (Path(folder) / LOCK).unlink()
    os.close(descriptor)


@contextlib.contextmanager
def released_after(folder, writes: bool = False) -> Iterator[None]:
    """Releases at its end the lock of a folder that was taken within it, and no earlier one.

    Args:
        folder: The folder.
        writes: Whether the lock will be taken, so that one of another process is told at once.

    Raises:
        UserError: Another process holds it.
    """
    held = _name(folder) in _HELD
    if writes and not held:
        _check_free(Path(folder))
    try:
        yield
    finally:
        if not held:
            release(folder)


@contextlib.contextmanager
def locked(folder) -> Iterator[None]:
    """Holds the lock of a folder; one that this process has already stays.

    Raises:
        UserError: As `acquire`.
    """
    with released_after(folder):
        acquire(folder)
        yield


def _name(folder) -> str:
    try:
        return os.path.realpath(folder)
    except ValueError:  # a null byte: no folder has that name, as whoever makes it will tell
        return str(folder)


def _check_free(folder: Path) -> None:
    """Refuses a folder that another process has locked; writes nothing."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except (OSError, ValueError):  # none, or a folder that cannot be one: who opens it tells more
        return
    try:
        _lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    try:
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise files.write_error(folder / LOCK, error) from error


def _lock(descriptor: int, folder: Path) -> bool:
    """Locks the file; False where the file system has no locks.

    Raises:
        UserError: Another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"Expected a --model_dir in which no other process works. Received: {folder}, in use by "
            f"{_holder(descriptor)}. Wait for it or stop it, or give another --model_dir"
        ) from error
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logging.log_first_n(
            logging.WARNING,
            "The file system of %s has no locks (%s): let no other process work in that folder",
            1,
            folder,
            error.strerror,
        )
        return False
    return True


def _holder(descriptor: int) -> str:
    try:
        held = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {held['process']} on {held['host']} since {held['since']}"
    except (ValueError, LookupError, TypeError, OSError):  # taken just now, or by something else
        return "another process"


def _is_file_of(descriptor: int, folder: Path) -> bool:
    """Whether the descriptor is that of the file which the folder has."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder / LOCK))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    text = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": now})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
