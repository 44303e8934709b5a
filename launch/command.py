"""The command `tf_edd PROGRAM ...`: one name for all programs.

  tf_edd quickstart --model_dir=runs/first
  tf_edd search --gin_file=recipes/nb201_cifar10_small.gin --data_dir=$TFDS --model_dir=runs/edd
  tf_edd search --help

`tf_edd search` is `python -m launch.search`; likewise the others.
"""

import importlib
import os
import sys

import tf_edd

# Program -> what it does.
PROGRAMS = {
    "quickstart": "search, retrain, evaluate and export in one go",
    "search": "search an architecture",
    "retrain": "train the network of a searched cell from scratch",
    "evaluate": "measure a trained network or an exported model on the test split",
    "export": "write a SavedModel and a Keras model",
    "vote": "of several searches the cell with which the others agree most",
    "report": "set searches side by side: a table and a figure",
    "rank": "Kendall's tau of a one-shot supernet against a table",
    "table_search": "random search or evolution by the accuracies of a NAS-Bench-201 table",
    "query": "look a cell up in a NAS-Bench-201 table",
    "count": "parameters and multiply-adds of a cell",
    "list": "the recipes, methods, data sets and spaces that --gin_file takes",
}


def usage() -> str:
    """The programs, one per line."""
    rows = "\n".join(f"  {name:<12}  {what}" for name, what in PROGRAMS.items())
    return f"usage: tf_edd PROGRAM [flags]     tf_edd PROGRAM --help     tf_edd --version\n\n{rows}\n"


def run() -> None:
    """Runs the program that the first argument names, with the other arguments."""
    if os.getcwd() not in sys.path and not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.getcwd())  # as with `python -m`: a gin file may import a module that lies there
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("--version", "version"):
        sys.stdout.write(f"tf_edd {tf_edd.__version__}\n")
    elif name in ("", "help", "-h", "--help"):
        sys.stdout.write(usage())
    elif name not in PROGRAMS:
        sys.stderr.write(f"error: Expected a program. Received: {name!r}\n{usage()}")
        sys.exit(2)
    else:
        sys.argv = [f"tf_edd {name}", *sys.argv[2:]]
        importlib.import_module(f"launch.{name}").run()


if __name__ == "__main__":
    run()
