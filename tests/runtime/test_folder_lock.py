"""tf_edd.runtime.folder_lock: one process at a time, and what a killed process leaves never blocks."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import folder_lock
from tf_edd.runtime.folder_lock import LOCK, acquire, locked, release, released_after


@pytest.fixture(autouse=True)
def nothing_is_held():
    yield
    for folder in list(folder_lock._HELD):
        release(folder)


class Holder:
    """Another holder: a lock belongs to the opened file, so a second opening stands for a second process."""

    def __init__(self, folder, text=""):
        self._file = open(folder / LOCK, "a+")  # noqa: SIM115 (it is closed by `end`)
        self._file.write(text)
        self._file.flush()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.end()
            raise

    def end(self):
        self._file.close()


def test_another_process_is_refused_and_told_who_holds_the_lock(tmp_path):
    acquire(tmp_path)
    held = json.loads((tmp_path / LOCK).read_text())
    assert held["process"] == os.getpid() and held["host"] == socket.gethostname() and held["since"][:2] == "20"
    with pytest.raises(BlockingIOError):
        Holder(tmp_path)
    release(tmp_path)
    holder = Holder(tmp_path, json.dumps({**held, "process": 4321}))
    told = f"in use by process 4321 on {held['host']} since {held['since'][:10]}"
    with pytest.raises(UserError, match=told):
        acquire(tmp_path)
    holder.end()
    acquire(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"process": 3}', "\0" * 40])
def test_a_holder_who_has_not_signed_is_another_process(tmp_path, text):
    holder = Holder(tmp_path, text)
    with pytest.raises(UserError, match="in use by another process"):
        acquire(tmp_path)
    holder.end()


def test_a_killed_process_blocks_nobody(tmp_path):
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(99)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / LOCK], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    with pytest.raises(UserError, match="in which no other process works"):
        acquire(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / LOCK).exists()
    acquire(tmp_path)


def test_a_process_takes_its_own_lock_again_and_leaves_no_file(tmp_path):
    acquire(tmp_path / "run")
    acquire(tmp_path / "run" / ".." / "run")
    with released_after(tmp_path / "run"):  # it was taken before
        acquire(tmp_path / "run")
    assert (tmp_path / "run" / LOCK).exists()
    release(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == [] and not folder_lock._HELD
    with pytest.raises(KeyError), released_after(tmp_path / "run"):
        acquire(tmp_path / "run")
        raise KeyError
    assert list((tmp_path / "run").iterdir()) == [] and not folder_lock._HELD
    release(tmp_path / "never")


def test_a_file_that_its_holder_removes_meanwhile_is_not_locked_in_vain(tmp_path, monkeypatch):
    lock, calls = fcntl.flock, []

    def flock(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        return lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    acquire(tmp_path)
    assert len(calls) == 2 and json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    with pytest.raises(BlockingIOError):
        Holder(tmp_path)


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch, caplog):
    def flock(*arguments):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    acquire(tmp_path)
    assert "has no locks (Operation not supported)" in caplog.text and str(tmp_path) in caplog.text


@pytest.mark.parametrize("code, told", [(errno.EIO, "Input/output error"), (errno.ENOSPC, "the disk is full")])
def test_other_errors_of_the_disk_are_told(tmp_path, monkeypatch, code, told):
    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl if code == errno.EIO else os, "flock" if code == errno.EIO else "pwrite", fail)
    with pytest.raises(UserError, match=f"Cannot write .*{LOCK}: {told}"):
        acquire(tmp_path)
    assert not folder_lock._HELD


def test_a_folder_that_cannot_be_made_or_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "run" / LOCK).mkdir(parents=True)
    for folder in ("file", "run"):
        with pytest.raises(UserError, match="Cannot write"):
            acquire(tmp_path / folder)


def test_the_lock_is_held_within_a_block(tmp_path):
    with locked(tmp_path):
        with pytest.raises(BlockingIOError):
            Holder(tmp_path)
        with locked(tmp_path):
            pass
        assert folder_lock._HELD
    Holder(tmp_path).end()
    assert not folder_lock._HELD


def test_who_will_write_is_told_at_once_of_another_process(tmp_path):
    holder = Holder(tmp_path)
    with pytest.raises(UserError, match="in use by another process"), released_after(tmp_path, writes=True):
        pytest.fail("it began")
    with released_after(tmp_path):  # another worker, which does not write
        pass
    holder.end()
    for folder in (tmp_path, tmp_path / "new", tmp_path / LOCK, tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with released_after(folder, writes=True):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    with locked(tmp_path), released_after(tmp_path, writes=True):  # its own
        pass
