"""Imports all parts without TensorFlow's start-up notes on oneDNN and CUDA, which come before any variable is read."""

import contextlib
import os
import sys
import tempfile


def _notes():
    """A file for what is muted, in memory: a container may have no folder that can be written."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("notes"), "w+b")
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _muted():
    """Keeps what is written to the error stream, C++ included, and shows it only when the imports fail."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with _notes() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


# A user who sets another level asks for the notes.
with _muted() if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("2", "3") else contextlib.nullcontext():
    from tf_edd.search import parts  # noqa: F401
