"""The gin text of an earlier run is data: it loads no module that the command line does not name."""

import sys
from collections.abc import Callable, Iterator, Sequence

from gin import config_parser

from tf_edd.errors import UserError
from tf_edd.runtime import files

_SPECIAL = "__gin__"  # with its `dynamic_registration` a text could call any function of any loaded module


class _Nothing:
    """What gin's parser hands references to, where only the statements matter."""

    def configurable_reference(self, name, evaluate):
        return None

    def macro(self, name):
        return None


def check_recorded(
    recorded: Sequence[str], gin_files: Sequence[str], gin_params: Sequence[str], find: Callable[[str], str | None]
) -> None:
    """Refuses recorded gin files that would run code; the modules that are loaded already may be imported again.

    Args:
        recorded: Paths of gin files that a run has written.
        gin_files: Those of the command line. What they import is trusted.
        gin_params: Bindings of the command line, likewise.
        find: From the name of an included file to its path.

    Raises:
        UserError: An import of a module that nothing of the command line imports, an include, or a damaged file.
    """
    named = set(_imports("\n".join(gin_params), find)) if recorded else set()
    for name in gin_files if recorded else ():
        named.update(_imports_of_file(name, find, ()))
    for path in recorded:
        for statement in _statements(files.read_text(path), path):
            if isinstance(statement, config_parser.IncludeStatement):
                raise UserError(f"{path}: expected bindings of a run. Received: an include of {statement.filename!r}")
            if isinstance(statement, config_parser.ImportStatement):
                _check_import(statement.module, named, path)


def _check_import(module: str, named: set[str], path: str) -> None:
    if module.split(".")[0] == _SPECIAL:
        raise UserError(
            f"{path}: expected bindings of a run. Received: an import of {module}, which could run any code"
        )
    if module not in sys.modules and module not in named:
        raise UserError(
            f"{path} imports the module {module}, and what a run has recorded loads no code by itself. If you trust "
            f"that module, add --gin_param='import {module}'"
        )


def _imports_of_file(name: str, find: Callable[[str], str | None], within: tuple[str, ...]) -> Iterator[str]:
    path = find(name)
    if path is not None and name not in within:  # what is missing or circular is told when it is parsed
        yield from _imports(files.read_text(path), find, (*within, name))


def _imports(text: str, find: Callable[[str], str | None], within: tuple[str, ...] = ()) -> Iterator[str]:
    for statement in _statements(text, within[-1] if within else "--gin_param"):
        if isinstance(statement, config_parser.ImportStatement):
            yield statement.module
        elif isinstance(statement, config_parser.IncludeStatement):
            yield from _imports_of_file(statement.filename, find, within)


def _statements(text: str, origin: str) -> Iterator:
    try:
        yield from config_parser.ConfigParser(text, _Nothing())
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{origin}: expected gin text. Received: {error}") from error
