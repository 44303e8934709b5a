"""What the launch programs share: flags for where and on what machine, the start, and errors without tracebacks.

`parse_gin` loads TensorFlow and all parts; programs import what needs them behind it: --help and a misspelt flag do not
wait for that.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags, logging

from launch.log_format import ShortFormatter
from tf_edd.errors import UserError
from tf_edd.runtime import STRATEGIES, termination

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

# Flags whose ~ is the home folder; no shell replaces it.
_PATHS = ("model_dir", "data_dir", "saved_model", "figure", "genotype")
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
    config.parse(given, FLAGS.gin_param, FLAGS.gin_search_path, roots, recorded)


def require_gin(example: str) -> None:
    """Refuses a command line without any gin; `example` is a file to begin with.

    Raises:
        UserError: There is neither a file nor a binding.
    """
    if not (FLAGS.gin_file or FLAGS.gin_param):
        raise UserError(
            f"The program needs --gin_file, such as --gin_file={example} (`tf_edd list` shows what there is)"
        )


def recorded_config(model_dir: str | None, phase: str) -> list[str]:
    """The gin file that a phase in `model_dir` was started with, if there is one, as `parse_gin` takes it."""
    path = os.path.join(model_dir or "", phase, "config.gin")
    return [path] if model_dir and os.path.isfile(path) else []


def needed_config(model_dir: str, phase: str, kind: str) -> list[str]:
    """The gin file that a phase in `model_dir` was started with; without it there must be a --gin_file.

    Args:
        model_dir: The folder of the run.
        phase: "search" or "retrain".
        kind: What the phase is called in an error.

    Raises:
        UserError: There is neither.
    """
    recorded = recorded_config(model_dir, phase)
    if FLAGS.gin_file or (recorded and (FLAGS.gin_param or os.path.getsize(recorded[0]))):
        return recorded
    if recorded:
        raise UserError(
            f"Expected --gin_file with the data set, such as datasets/cifar10.gin. Received: none, and the {kind} in "
            f"{model_dir} was started from Python: it has recorded no gin"
        )
    raise UserError(f"Expected the folder of a {kind}. Received: {model_dir} (it has no {phase}/config.gin)")


def setup(roots: Sequence[str], default_files: Sequence[str] = (), recorded: Sequence[str] = ()) -> Runtime:
    """Gin, devices, precision and seeds, in the order that TensorFlow needs.

    Args:
        roots: the configurables that the program calls.
        default_files: gin files for a command line without any.
        recorded: gin files before those of the command line, which override them.

    Raises:
        UserError: a bad configuration, or a machine without what the flags ask for.
    """
    if sys.stderr.isatty():
        logging.info("Loading TensorFlow and the configuration ...")
    parse_gin(roots, default_files, recorded)
    from tf_edd.runtime import seeds
    from tf_edd.runtime.strategy import configure

    machine = {"strategy": FLAGS.strategy, "logical_cpus": FLAGS.logical_cpus, "deterministic": FLAGS.deterministic}
    runtime = bound(configure)(**machine)
    seeds.set_seed(FLAGS.seed)
    return runtime


def bound(function: Callable) -> Callable:
    """`function` of the package, which takes what it is not given from the gin files."""
    import gin

    return gin.get_configurable(function)


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
    termination.install()
    logging.get_absl_handler().addFilter(_worth_showing)
    logging.get_absl_handler().setFormatter(ShortFormatter())

    def guarded(argv):
        if len(argv) > 1:
            raise app.UsageError(f"Expected flags only. Received: {' '.join(argv[1:])}")
        _expand_home()
        sys.exit(_guard(lambda: (_check_required(required), main()), resumable))

    app.run(guarded)


def _expand_home() -> None:
    for name in _PATHS:
        if name in FLAGS and FLAGS[name].value:
            FLAGS[name].value = os.path.expanduser(FLAGS[name].value)


def _check_required(required: Sequence[str]) -> None:
    missing = [f"--{name}" for name in required if getattr(FLAGS, name) in (None, "", [])]
    if missing:
        raise UserError(f"The program needs {' and '.join(missing)} (--help tells more)")


def _guard(main: Callable[[], None], resumable: bool = False) -> int:
    try:
        main()
    except UserError as error:
        sys.stderr.write(f"error: {_GIN_CONTEXT.sub('', str(error))}\n")
        return error.status
    except termination.Stopped as end:
        sys.stderr.write(f"\n{end.message(resumable)}\n")
        return end.status
    except KeyboardInterrupt:
        advice = "; the same command continues from the last checkpoint" if resumable else ""
        sys.stderr.write(f"\nInterrupted{advice}.\n")
        return 130
    except Exception as error:
        if not _worker_lost(error):
            raise
        advice = "; the same command on all workers continues from the last checkpoint" if resumable else ""
        sys.stderr.write(f"error: A worker has stopped answering{advice}. Received: {_lost_workers(error)}\n")
        return 2
    return 0


def _worker_lost(error: Exception) -> bool:
    """Whether the error is what TensorFlow raises in a worker when another one has ended."""
    if "tensorflow" not in sys.modules:
        return False
    from tensorflow import errors

    from tf_edd.runtime.strategy import current, has_workers

    lost = (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError)
    return isinstance(error, lost) and has_workers(current().strategy)


def _lost_workers(error: Exception) -> str:
    """The kind of the error, and the tasks of the cluster that it names."""
    tasks = dict.fromkeys(re.findall(r"/job:\w+(?:/replica:\d+)?/task:\d+", str(error)))
    return " ".join([type(error).__name__, *tasks])


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
