"""Gin files read one after the other, included ones too: what each replaces, and what was in use along the way."""

import contextlib
from collections.abc import Iterator, Sequence

import gin
import gin.config as gin_internal  # the parsed bindings have no public accessor in gin 0.5

from tf_edd.errors import UserError
from tf_edd.runtime import gin_graph

Bindings = dict[gin_graph.Key, dict]
METHOD = (("", "tf_edd.search"), "method")  # where a file of a method says which parts it has
_NOTHING = object()


def bindings() -> Bindings:
    """A copy of all bindings of now."""
    return {key: dict(values) for key, values in gin_internal._CONFIG.items()}


def bound_by(texts: Sequence[str]) -> set[tuple[gin_graph.Key, str]]:
    """The keys and parameters that these bindings give a value to; gin's configuration stays as it is."""
    before = gin_internal._CONFIG.copy()
    gin_internal._CONFIG.clear()
    try:
        gin.parse_config(list(texts))
        return {(key, name) for key, values in gin_internal._CONFIG.items() for name in values}
    finally:
        gin_internal._CONFIG.clear()
        gin_internal._CONFIG.update(before)


class FileTracker:
    """Follows the files that gin parses.

    A file that binds `search.method` again replaces the method: what the earlier one bound for its parts is dropped, so
    that nothing of it is left in the new one. The numbers of a recipe stay; methods read them through macros.

    Args:
        roots: names of the configurables that the programs call.
        macros: names of macros that count as used.
    """

    def __init__(self, roots: Sequence[str], macros: Sequence[str]):
        self._roots, self._macros = tuple(roots), tuple(macros)
        self._in_use: Bindings = {}
        self._method = _NOTHING

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Within it every file that gin parses is followed; gin parses included files by the same function."""
        parse = gin_internal.parse_config_file

        within = []

        def parse_and_note(name, *arguments, **options):
            if name in within:
                raise UserError(f"Expected gin files that do not include themselves. Received: {name!r}, which does")
            before = bindings()
            parts = gin_graph.below(*METHOD)
            within.append(name)
            result = parse(name, *arguments, **options)
            within.pop()
            if self._method is not _value(gin_internal._CONFIG, *METHOD):  # and no included file has dealt with it
                self._drop(parts, before)
            self._note()
            return result

        gin_internal.parse_config_file = parse_and_note
        try:
            yield
        finally:
            gin_internal.parse_config_file = parse

    def was_in_use(self, key: gin_graph.Key, parameter: str) -> bool:
        """Whether the value that is bound now was in use after some file: another file has replaced its part."""
        return _value(self._in_use, key, parameter) is _value(gin_internal._CONFIG, key, parameter)

    def _note(self) -> None:
        for key in gin_graph.reachable(self._roots, self._macros):
            self._in_use.setdefault(key, {}).update(gin_internal._CONFIG[key])

    def _drop(self, parts: set[gin_graph.Key], before: Bindings) -> None:
        """Removes what was bound for the parts of the replaced method and is needed by nothing else."""
        self._method = gin_internal._CONFIG[METHOD[0]].pop(METHOD[1])
        needed = gin_graph.reachable(self._roots, self._macros)
        gin_internal._CONFIG[METHOD[0]][METHOD[1]] = self._method
        for key in parts - needed:
            values = gin_internal._CONFIG.get(key, {})
            for name, value in list(values.items()):
                if value is _value(before, key, name):
                    del values[name]
            if not values:
                gin_internal._CONFIG.pop(key, None)


def _value(config, key: gin_graph.Key, parameter: str):
    return config.get(key, {}).get(parameter, _NOTHING)
