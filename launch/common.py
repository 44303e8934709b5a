"""What the launch programs share: flags for where and on what machine, the start, and errors without tracebacks.

`parse_gin` loads TensorFlow and all parts; programs import what needs them behind it: --help and a misspelt flag do not
wait for that.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags, logging

from tf_edd.errors import UserError
from tf_edd.runtime import STRATEGIES

if TYPE_CHECKING:
    from tf_edd.runtime.strategy import Runtime

FLAGS = flags.FLAGS
flags.disclaim_key_flags()  # so that --help of a program shows the flags that it took from here


_DEFINITIONS = {
    "model_dir": lambda: flags.DEFINE_string("model_dir", None, "Folder of the run; an unfinished one is continued."),
    "data_dir": lambda: flags.DEFINE_string("data_dir", None, "Folder of TFDS data sets, or of class folders."),
    "gin_file": lambda: flags.DEFINE_multi_string("gin_file", [], "Gin file; may be repeated, the later overrides."),
    "gin_param": lambda: flags.DEFINE_multi_string("gin_param", [], "Gin binding; may be repeated, overrides files."),
    "gin_search_path": lambda: flags.DEFINE_multi_string("gin_search_path", [], "More folders to find gin files in."),
    "seed": lambda: flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0, upper_bound=2**32 - 1),
    "strategy": lambda: flags.DEFINE_enum("strategy", "auto", STRATEGIES, "How devices share the work."),
    "logical_cpus": lambda: flags.DEFINE_integer("logical_cpus", 1, "Split the CPU to try Mirrored.", lower_bound=1),
    "deterministic": lambda: flags.DEFINE_bool("deterministic", False, "Bit-equal repetition; slower."),
    "dry_run": lambda: flags.DEFINE_bool("dry_run", False, "Print what would run; write nothing."),
    "overwrite": lambda: flags.DEFINE_bool("overwrite", False, "Remove what --model_dir holds of this phase."),
}
GIN_FLAGS = ("gin_file", "gin_param", "gin_search_path")
MACHINE_FLAGS = ("seed", "strategy", "logical_cpus", "deterministic")

_CHATTY = {"tensorflow", "tensorflow_datasets", "keras"}  # packages whose INFO lines say nothing about the run
_INSTALLED = ("site-packages", "dist-packages")  # where Python and Debian put packages
_GIN_CONTEXT = re.compile(r"\n\s*In call to configurable '[^\n]*")


def define_flags(*names: str) -> None:
    """Defines these flags of the shared ones; a program calls it once, at import.

    Args:
        names: keys of the shared flags, e.g. "model_dir". Also "gin" and "machine" for the groups.
    """
    groups = {"gin": GIN_FLAGS, "machine": MACHINE_FLAGS}
    for name in (single for given in names for single in groups.get(given, (given,))):
        if name in FLAGS:
            flags.declare_key_flag(name)
            continue
        _DEFINITIONS[name]()
        if name == "gin_param":
            flags.DEFINE_alias("gin_bindings", "gin_param")


def parse_gin(roots: Sequence[str], default_files: Sequence[str] = (), recorded: Sequence[str] = ()) -> None:
    """Parses the gin files and bindings of the command line; `default_files` are used where no file is given.

    Args:
        roots: the configurables that the program calls.
        default_files: gin files for a command line without any.
        recorded: gin files before those of the command line, which override them.

    Raises:
        UserError: as `tf_edd.runtime.config.parse`.
    """
    from launch import startup  # noqa: F401 (first: it registers the parts, and mutes TensorFlow's start-up notes)
    from tf_edd.runtime import config

    given = FLAGS.gin_file or list(default_files)
    config.parse([*recorded, *given], FLAGS.gin_param, FLAGS.gin_search_path, roots)


def recorded_config(model_dir: str | None, phase: str) -> list[str]:
    """The gin file that a phase in `model_dir` was started with, if there is one, as `parse_gin` takes it."""
    path = Path(model_dir or "") / phase / "config.gin"
    return [str(path)] if model_dir and path.is_file() else []


def setup(roots: Sequence[str], default_files: Sequence[str] = (), recorded: Sequence[str] = ()) -> Runtime:
    """Gin, devices, precision and seeds, in the order that TensorFlow needs.

    Args:
        roots: the configurables that the program calls.
        default_files: gin files for a command line without any.
        recorded: gin files before those of the command line, which override them.

    Raises:
        UserError: a bad configuration, or a machine without what the flags ask for.
    """
    parse_gin(roots, default_files, recorded)
    from tf_edd.runtime import seeds
    from tf_edd.runtime.strategy import configure

    runtime = configure(strategy=FLAGS.strategy, logical_cpus=FLAGS.logical_cpus, deterministic=FLAGS.deterministic)
    seeds.set_seed(FLAGS.seed)
    return runtime


def run_arguments() -> dict:
    """The flags that a search and a retraining take alike, as arguments of their functions."""
    return {
        "data_dir": FLAGS.data_dir,
        "seed": FLAGS.seed,
        "overwrite": FLAGS.overwrite,
        "dry_run": FLAGS.dry_run,
    }


def launch(main: Callable[[], None], required: Sequence[str] = (), resumable: bool = False) -> None:
    """Runs a program: flags are parsed, `main()` is called, errors of the user end with their message and status 2.

    Args:
        main: the program, without arguments; it reads `flags.FLAGS`.
        required: names of the flags that must be given.
        resumable: whether the same command continues after an interruption.
    """
    _adopt(main)
    logging.get_absl_handler().addFilter(_worth_showing)

    def guarded(argv):
        if len(argv) > 1:
            raise app.UsageError(f"Expected flags only. Received: {' '.join(argv[1:])}")
        sys.exit(_guard(lambda: (_check_required(required), main()), resumable))

    app.run(guarded)


def _check_required(required: Sequence[str]) -> None:
    missing = [f"--{name}" for name in required if getattr(FLAGS, name) in (None, "", [])]
    if missing:
        raise UserError(f"The program needs {' and '.join(missing)} (--help tells more)")


def _guard(main: Callable[[], None], resumable: bool = False) -> int:
    try:
        main()
    except UserError as error:
        sys.stderr.write(f"error: {_GIN_CONTEXT.sub('', str(error))}\n")
        return 2
    except KeyboardInterrupt:
        advice = "; the same command continues from the last checkpoint" if resumable else ""
        sys.stderr.write(f"\nInterrupted{advice}.\n")
        return 130
    return 0


def _worth_showing(record) -> bool:
    """Leaves out what TensorFlow, TFDS and Keras tell of themselves; their warnings stay."""
    # A package is what lies right below site-packages: a checkout may lie in a folder of any name.
    packages = {name for folder, name in itertools.pairwise(Path(record.pathname).parts) if folder in _INSTALLED}
    return record.levelno > logging.converter.ABSL_TO_STANDARD[logging.INFO] or _CHATTY.isdisjoint(packages)


def _adopt(main: Callable[[], None]) -> None:
    """Lets --help show the program's manual and flags when an installed console script started it."""
    module = sys.modules[main.__module__]
    started = sys.modules["__main__"]
    if module is started:
        return
    started.__doc__ = module.__doc__
    for flag in FLAGS.get_key_flags_for_module(module):
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
