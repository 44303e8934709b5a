"""The start of a program: what TensorFlow says at its import is hidden, errors are not."""

import os
import sys

import pytest

import launch
from launch import startup


@pytest.mark.parametrize("memory", [True, False])
def test_notes_are_hidden_and_shown_where_the_import_fails(capfd, monkeypatch, memory):
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with startup._muted():
        os.write(2, b"a note")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), startup._muted():
        os.write(2, b"a note")
        raise ImportError
    assert capfd.readouterr().err == "a note"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="other systems have a folder for temporary files")
def test_no_folder_for_temporary_files_is_needed(capfd, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(startup.tempfile, "tempdir", "/nowhere")
        with startup._muted():
            os.write(2, b"a note")
    assert capfd.readouterr().err == ""


def test_an_interrupt_of_the_first_imports_is_one_line(capsys):
    shown = []

    def others(*error):
        shown.append(error)

    launch._without_traceback(KeyboardInterrupt, KeyboardInterrupt(), None, others)
    assert capsys.readouterr().err == "\nInterrupted.\n" and not shown
    error = ValueError("a bug")
    launch._without_traceback(ValueError, error, None, others)
    assert shown == [(ValueError, error, None)]
    assert sys.excepthook is launch._without_traceback
