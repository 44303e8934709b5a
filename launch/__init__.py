"""Programs: flags, a gin configuration and one call each."""

import os

# TensorFlow reads it once, at its import: its start-up notes on oneDNN and CUDA would bury what a program says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
