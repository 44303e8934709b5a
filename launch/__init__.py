"""Programs: flags, a gin configuration and one call each."""

import os
import sys


def _without_traceback(kind, error, trace, others=sys.excepthook) -> None:
    """Ctrl-C while the programs are being imported, before they handle it themselves, is no error to be shown."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\nInterrupted.\n")
    else:
        others(kind, error, trace)


sys.excepthook = _without_traceback

# TensorFlow reads it once, at its import: its start-up notes on oneDNN and CUDA would bury what a program says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
