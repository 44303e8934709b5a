"""Strict gin configuration: every binding is known and used, or an error names it and what is near."""

import contextlib
import difflib
import importlib.util
import os
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import gin
import gin.config as gin_internal  # the registry and the parsed bindings have no public accessor in gin 0.5

from tf_edd.errors import UserError
from tf_edd.runtime import gin_graph
from tf_edd.runtime.gin_files import FileTracker, bindings, bound_by
from tf_edd.runtime.recorded import check_recorded

ROOTS = ("search", "retrain", "evaluate", "export", "rank", "configure")
DEFAULTS = "defaults.gin"  # the macros that recipes bind and methods read, with their defaults

# What gives the parameters that the programs pass in each call, so that a binding of them would do nothing.
_FLAGS = {name: f"--{name}" for name in ("model_dir", "data_dir", "overwrite", "dry_run", "seed", "genotype")}
SUPPLIED = {
    "tf_edd.search": _FLAGS,
    "tf_edd.retrain": _FLAGS,
    "tf_edd.evaluate": {**_FLAGS, "saved_model": "--saved_model"},
    "tf_edd.export": _FLAGS,
    "tf_edd.rank": _FLAGS,
    "tf_edd.configure": {name: f"--{name}" for name in ("strategy", "logical_cpus", "deterministic")},
}

_LONGEST_LINE = 300  # of a gin file that an error shows
_PARSE_ERRORS = (ValueError, TypeError, LookupError, NameError, AttributeError, SyntaxError, OSError, ImportError)
_PARSE_ERRORS += (tokenize.TokenError, RecursionError)  # an open bracket; thousands of them


def parse(
    gin_files: Sequence[str] = (),
    gin_params: Sequence[str] = (),
    search_paths: Sequence[str] = (),
    roots: Sequence[str] = (),
    recorded: Sequence[str] = (),
) -> None:
    """Replaces gin's configuration by these files, then these bindings, and locks it.

    `defaults.gin` always comes first. A file is looked for as given (absolute, or from the working directory), then in
    `search_paths`, then among the installed `gin_configs`, with or without that folder's name. Everything bound must be
    reachable from the configurables that the programs call: `ROOTS` and `roots`. Two kinds of bindings of files are
    spared: the macros of `defaults.gin`, which not every method reads, and what was bound for a part before a later
    file replaced it, which is dropped. The modules that define the configurables must have been imported.

    Args:
        gin_files: configuration files, later ones override earlier ones.
        gin_params: bindings such as "search.batch_size = 64", which override the files.
        search_paths: more folders to look for files and includes in.
        roots: the configurables that this program calls; their required values must be bound.
        recorded: files that an earlier run has written, which come before the others and import no module by
            themselves (`runtime.recorded`).

    Raises:
        UserError: a missing file or include, a syntax error, an unknown configurable or parameter, a binding that
            nothing uses or that the programs override, a required value without one.
    """
    folders = ["", *map(str, search_paths), *_installed_folders()]
    every_root = (*roots, *ROOTS)
    gin.clear_config()
    for name in gin_files:
        _require_file(name, folders)
    check_recorded(recorded, gin_files, gin_params, lambda name: _find(name, folders))
    try:
        with _searching(folders):
            tracker = FileTracker(every_root, default_macros())
            with tracker.following():
                gin_internal.parse_config_file(str(_defaults_file()))
                defaults = bindings()
                for name in (*recorded, *gin_files):
                    gin_internal.parse_config_file(name)
            given = bound_by(gin_params)
            gin.parse_config(list(gin_params))
            if circle := gin_graph.macro_circle():
                names = ", ".join(f"%{name}" for name in circle)
                raise UserError(f"Expected macros that do not refer to themselves. Received: {names}")
            if circle := gin_graph.part_circle():
                names = ", ".join(f"@{name}()" for name in circle)
                raise UserError(f"Expected parts that do not contain themselves. Received: {names}")
            open_values = _drop_open_defaults(defaults)
            gin.finalize()
    except _PARSE_ERRORS as error:
        message = str(error) if isinstance(error, UserError) else _explain(error, folders)
        gin.clear_config()
        raise UserError(message) from error
    _check_used(every_root, tracker, given)
    _check_not_supplied()
    _check_required(roots, open_values)


@contextlib.contextmanager
def parsed(gin_files: Sequence[str], gin_params: Sequence[str], roots: Sequence[str]) -> Iterator[None]:
    """Within it gin has this configuration, as `parse` makes it; afterwards what it had before."""
    kept = [gin_internal._CONFIG, gin_internal._SINGLETONS, gin_internal._IMPORTS, gin_internal._OPERATIVE_CONFIG]
    before, locked = [container.copy() for container in kept], gin_internal._CONFIG_IS_LOCKED
    try:
        parse(gin_files, gin_params, roots=roots)
        yield
    finally:
        gin.clear_config()
        for container, content in zip(kept, before, strict=True):
            container.update(content)
        gin_internal._set_config_is_locked(locked)


def default_macros() -> list[str]:
    """Names of the macros that `defaults.gin` binds."""
    return re.findall(r"(?m)^(\w+) *=", _defaults_file().read_text(encoding="utf-8"))


def config_text(roots: Sequence[str] = ()) -> str:
    """The bindings as gin text, sorted and without comments of their files; equal text means equal configuration.

    Args:
        roots: if given, only what is reachable from these configurables, so that a changed retraining does not make
            the configuration of the search another one.
    """
    if not roots:
        return gin.config_str(max_line_length=120)
    reached = gin_graph.reachable(roots)
    kept = {key: values for key, values in gin_internal._CONFIG.items() if key in reached}
    return gin_internal._config_str(kept, max_line_length=120)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most like `name`, by the whole name or by its last part."""
    known = sorted(set(known))
    whole = {other.lower(): other for other in known}
    tails = {_tail(other): other for other in known}
    close = [whole[key] for key in difflib.get_close_matches(name.lower(), whole, n=count)]
    close += [tails[key] for key in difflib.get_close_matches(_tail(name), tails, n=count)]
    return list(dict.fromkeys(close))[:count]


def _tail(name: str) -> str:
    return re.split(r"[./]", name.removesuffix(".gin"))[-1].lower()


@contextlib.contextmanager
def _searching(folders: Sequence[str]):
    """Makes gin look for files and includes in `folders` only.

    gin can only append to its list, so the folders of an earlier parse would stay; and its second file reader, for
    package resources, logs an error for every folder that does not hold the file.
    """
    before = list(gin_internal._LOCATION_PREFIXES), list(gin_internal._FILE_READERS)
    gin_internal._LOCATION_PREFIXES[:], gin_internal._FILE_READERS[:] = folders, [(open, os.path.isfile)]
    try:
        yield
    finally:
        gin_internal._LOCATION_PREFIXES[:], gin_internal._FILE_READERS[:] = before


def _installed_folders() -> list[str]:
    spec = importlib.util.find_spec("gin_configs")
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    return [str(package), str(package.parent)]


def _defaults_file() -> Path:
    return Path(_installed_folders()[0]) / DEFAULTS


def _drop_open_defaults(defaults: Mapping[gin_graph.Key, Mapping]) -> dict[str, str]:
    """Drops what `defaults.gin` binds to macros that have no value, such as the length of a search without a recipe.

    Returns:
        The bindings that were dropped -> the macros that they need.
    """
    dropped = {}
    for key, values in defaults.items():
        for name, value in values.items():
            macros = gin_graph.open_macros(value)
            if macros and gin_internal._CONFIG[key][name] is value:
                del gin_internal._CONFIG[key][name]
                dropped[gin_graph.binding_name(key, name)] = macros[0]
        if not gin_internal._CONFIG[key]:
            del gin_internal._CONFIG[key]
    return dropped


def _find(name: str, folders: Sequence[str]) -> str | None:
    """The path of a gin file, if there is one."""
    paths = (os.path.join(folder, name) for folder in folders)
    return next(filter(os.path.isfile, paths), None)


def _require_file(name: str, folders: Sequence[str]) -> None:
    if _find(name, folders) is None:
        raise UserError(_missing_file(name, folders))


def _missing_file(name: str, folders: Sequence[str]) -> str:
    looked = [folder or os.getcwd() for folder in folders] if not os.path.isabs(name) else [os.path.dirname(name)]
    near = _quoted(nearest(name, _existing_files(folders)))
    return f"Expected a gin file, looked for in: {', '.join(looked)}. Received: {name!r} (no such file).{near}"


def _existing_files(folders: Sequence[str]) -> list[str]:
    # The last folder is where the package lies (site-packages, perhaps): it is not listed.
    found = []
    for folder in folders[1:-1]:
        found += [str(path.relative_to(folder)) for path in Path(folder).glob("**/*.gin")]
    return found + [path.name for path in Path.cwd().glob("*.gin")]


def _quoted(names: Sequence[str], stop: str = "") -> str:
    return f"{stop} The nearest: {', '.join(names)}." if names else ""


def _explain(error: Exception, folders: Sequence[str]) -> str:
    """What a user can do about an error of gin's parser; the file and line that gin adds are kept."""
    if isinstance(error, RecursionError):
        return "Expected gin values of moderate depth. Received: brackets in brackets, too many to be read"
    text = str(error)
    if found := re.search(r"Unable to open file: (.*?)\. Searched config paths: \[.*?\]\.", text, re.S):
        return text.replace(found.group(0), _missing_file(found.group(1), folders))
    if found := re.search(r"No configurable matching (?:reference )?'@?([^']*?)(?:\(\))?'\.", text):
        name = found.group(1).split("/")[-1]
        near = _quoted(nearest(name, gin_graph.configurable_names()))
        return text.replace(found.group(0), f"Expected a known configurable. Received: {name!r}.{near}")
    if found := re.search(r"Configurable '([^']*)' doesn't have a parameter named '([^']*)'\.", text):
        name, parameter = found.groups()
        known = gin_graph.parameters(name)
        message = f"{name} has the parameters {', '.join(known)}. Received: {name}.{parameter}."
        return text.replace(found.group(0), message + _quoted(nearest(parameter, known)))
    if found := re.match(r"No bindings specified for '(.*)/gin\.macro'", text):
        near = _quoted(nearest(found.group(1), gin_graph.macro_names()))
        return f"Expected a macro with a value. Received: %{found.group(1)}, which is bound nowhere.{near}"
    if found := re.search(r"\"?Ambiguous selector '([^']*)', matches \[(.*?)\]\.\"?", text):
        message = f"Expected an unambiguous name, one of {found.group(2)} or a longer ending of it."
        return text.replace(found.group(0), f"{message} Received: {found.group(1)!r}.")
    hint = " (text needs quotes, a configurable an @)" if "malformed node" in text else ""
    lines = (line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..." for line in text.splitlines())
    return f"The gin configuration cannot be read{hint}: " + "\n".join(lines)


def _check_used(roots: Sequence[str], tracker: FileTracker, given: Collection) -> None:
    """Drops bindings of replaced parts, and refuses what is not used otherwise.

    Args:
        roots: names of configurables.
        tracker: has followed the files.
        given: (key, parameter) of the bindings that come from no file; they must have an effect.
    """
    reached, spared = gin_graph.reachable(roots), gin_graph.reachable(roots, default_macros())
    effective = gin_graph.effective(roots)
    unused = []
    for key, values in list(gin_internal._CONFIG.items()):
        for name in list(values):
            if (key, name) in given:
                if (key, name) not in effective:
                    unused.append(_unused(key, name, reached))
            elif key not in spared:
                if not tracker.was_in_use(key, name):
                    unused.append(_unused(key, name, reached))
                del values[name]
        if not values:
            del gin_internal._CONFIG[key]
    if unused:
        raise UserError("Expected every binding to be used. Received:\n" + "\n".join(unused))


def _unused(key, name: str, reached: set) -> str:
    near = _quoted(nearest(key[0], gin_graph.macro_names(reached)), ".") if gin_graph.is_macro(key) else ""
    return f"  {gin_graph.binding_name(key, name)} is never used: {gin_graph.in_its_place(key, reached)}{near}"


def _check_not_supplied() -> None:
    overridden = [
        f"  {gin_graph.binding_name(key, parameter)}: give {SUPPLIED[key[1]][parameter]} in its place"
        for key, values in gin_internal._CONFIG.items()
        for parameter in values
        if parameter in SUPPLIED.get(key[1], ())
    ]
    if overridden:
        raise UserError("Expected no binding that the programs override. Received:\n" + "\n".join(overridden))


def _check_required(roots: Sequence[str], open_values: Mapping[str, str]) -> None:
    missing = {open_values.get(name, name) for name in gin_graph.missing_values(roots, SUPPLIED)}
    if missing:
        raise UserError(
            f"Expected values for {', '.join(sorted(missing))}. Received: none (give a --gin_file that binds them, "
            "such as recipes/nb201_cifar10_small.gin, or --gin_param)"
        )
