"""The graph of gin's parsed bindings: which configurables the programs reach, and by what."""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import gin
import gin.config as gin_internal

_MACRO = "gin.macro"
Key = tuple[str, str]  # (scope, complete selector), as gin stores bindings


def configurable_names() -> list[str]:
    """Shortest unambiguous names of all configurables, gin's own left out."""
    selectors = [selector for selector, _ in gin_internal._REGISTRY.items() if not selector.startswith("gin.")]
    return [gin_internal._REGISTRY.minimal_selector(selector) for selector in selectors]


def is_macro(key: Key) -> bool:
    """Whether the binding gives a macro its value."""
    return key[1] == _MACRO


def macro_names(keys: Iterable[Key] | None = None) -> list[str]:
    """Names of the macros among these keys, or of all that have a value."""
    return [key[0] for key in (gin_internal._CONFIG if keys is None else keys) if is_macro(key)]


def open_macros(value) -> list[str]:
    """Names of the macros without a value that a bound value refers to."""
    names = [_target(reference, "")[0] for reference in _references(value) if _target(reference, "")[1] == _MACRO]
    return [name for name in names if name not in macro_names()]


def macro_circle() -> list[str]:
    """Names of macros each of which refers to the next, the last one to the first; empty if there are none."""
    passed = set()

    def circle(chain: list[str]) -> list[str]:
        values = gin_internal._CONFIG.get((chain[-1], _MACRO), {})
        targets = [_target(reference, "") for reference in _references(list(values.values()))]
        for name in [name for name, selector in targets if selector == _MACRO and name not in passed]:
            found = chain[chain.index(name) :] if name in chain else circle([*chain, name])
            if found:
                return found
        passed.add(chain[-1])
        return []

    return next(filter(None, map(circle, ([name] for name in macro_names()))), [])


def part_circle() -> list[str]:
    """Names of configurables each of which is called for a value of the one before it, the first for one of the last.

    Empty if there are none. A circle of macros alone is not among them.
    """
    passed = set()

    def circle(chain: list[Key]) -> list[Key]:
        for node in _called_for(chain[-1]):
            if node in chain:
                return chain[chain.index(node) :]
            if node not in passed and (found := circle([*chain, node])):
                return found
        passed.add(chain[-1])
        return []

    nodes = next(filter(None, map(circle, ([key] for key in gin_internal._CONFIG))), [])
    return [gin_internal._REGISTRY.minimal_selector(selector) for _, selector in nodes if selector != _MACRO]


def parameters(name: str) -> list[str]:
    """Names of the parameters of the configurable `name`."""
    return list(_signature(gin_internal._REGISTRY.get_match(name)))


def binding_name(key: Key, parameter: str) -> str:
    """A binding as a user writes it, e.g. `weights/SGD.momentum`."""
    scope, selector = key
    if selector == _MACRO:
        return scope
    prefix = f"{scope}/" if scope else ""
    return f"{prefix}{gin_internal._REGISTRY.minimal_selector(selector)}.{parameter}"


def reachable(roots: Sequence[str], macros: Sequence[str] = ()) -> set[Key]:
    """Keys of the bindings that calls of `roots` can use, directly or through references and macros.

    A reference with a scope sets that scope for all that is evaluated below it; one without keeps the scope around
    it. A binding applies in its own scope and in those below.

    Args:
        roots: names of configurables; those that are not imported are left out.
        macros: names of macros that count as used.
    """
    return {key for node in _nodes(_starts(roots, macros)) for key in _keys_in_scope(node)}


def effective(roots: Sequence[str], macros: Sequence[str] = ()) -> set[tuple[Key, str]]:
    """The reachable keys with their parameters, without those that a binding of a narrower scope always hides.

    Args:
        roots: as of `reachable`.
        macros: as of `reachable`.
    """
    found = set()
    for node in _nodes(_starts(roots, macros)):
        innermost = {name: key for key in _keys_in_scope(node) for name in gin_internal._CONFIG[key]}
        found.update((key, name) for name, key in innermost.items())
    return found


def below(key: Key, parameter: str) -> set[Key]:
    """Keys of the bindings that the value of one binding can use, without going through macros."""
    value = gin_internal._CONFIG.get(key, {}).get(parameter)
    starts = [_target(reference, key[0]) for reference in _references(value)]
    return {found for node in _nodes(starts, through_macros=False) for found in _keys_in_scope(node)}


def _starts(roots: Sequence[str], macros: Sequence[str]) -> list[Key]:
    return [("", selector) for selector in _selectors(roots)] + [(name, _MACRO) for name in macros]


def _nodes(starts: Sequence[Key], through_macros: bool = True) -> set[Key]:
    """The configurables, each with the scope it is evaluated in, that are reached from `starts`."""
    seen, waiting = set(), list(starts)
    while waiting:
        node = waiting.pop()
        if node in seen or (node[1] == _MACRO and not through_macros):
            continue
        seen.add(node)
        values = [gin_internal._CONFIG[key] for key in _keys_in_scope(node)]
        waiting += [_target(reference, node[0]) for reference in _references(values)]
        waiting += [(node[0], selector) for selector in _default_configurables(node[1])]
    return seen


def _called_for(node: Key) -> list[Key]:
    """The configurables that a call of this one calls for its bound values; the narrowest scope decides."""
    values = {}
    for key in _keys_in_scope(node):
        values |= gin_internal._CONFIG[key]
    return [_target(reference, node[0]) for reference in _references(values) if reference.evaluate]


def in_its_place(key: Key, reached: set[Key]) -> str:
    """Why nothing uses the binding: what is bound in its place, as far as the reached bindings tell."""
    scope, selector = key
    if selector == _MACRO:
        return f"nothing refers to %{scope}"
    own = gin_internal._REGISTRY[selector]
    related = [
        f"{binding_name(at, parameter)} is {reference}"
        for at in sorted(reached)
        for parameter, value in gin_internal._CONFIG[at].items()
        for reference in _references(value)
        if reference.configurable.module == own.module or reference.configurable.selector == selector
    ]
    if related:
        return " and ".join(related)
    return f"nothing refers to @{gin_internal._REGISTRY.minimal_selector(selector)}"


def missing_values(roots: Sequence[str], supplied: Mapping[str, Collection[str]]) -> list[str]:
    """Bindings that `roots`, or what is evaluated for them, need and do not have.

    Args:
        roots: names of configurables.
        supplied: complete selector -> parameters that the programs pass.
    """
    missing, seen = [], set()
    waiting = [(("", selector), True) for selector in _selectors(roots)]
    while waiting:
        node, evaluated = waiting.pop()
        if (node, evaluated) in seen:
            continue
        seen.add((node, evaluated))
        bound = {name for key in _keys_in_scope(node) for name in gin_internal._CONFIG[key]}
        bound.update(supplied.get(node[1], ()))
        missing += [binding_name(node, name) for name in _needed(node[1], evaluated) if name not in bound]
        values = [gin_internal._CONFIG[key] for key in _keys_in_scope(node)]
        waiting += [(_target(reference, node[0]), reference.evaluate) for reference in _references(values)]
    return sorted(set(missing))


def _needed(selector: str, evaluated: bool) -> Iterator[str]:
    """Parameters without a value of their own; a plain reference may be called with arguments, so only REQUIRED."""
    if selector.startswith("gin."):
        return
    for name, parameter in _signature(gin_internal._REGISTRY[selector]).items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is gin.REQUIRED or (evaluated and parameter.default is parameter.empty and not variadic):
            yield name


def _selectors(names: Iterable[str]) -> list[str]:
    matches = [gin_internal._REGISTRY.get_match(name) for name in names]
    return [match.selector for match in matches if match]


def _keys_in_scope(node: Key) -> list[Key]:
    scope, selector = node
    parts = scope.split("/") if scope else []
    keys = [("/".join(parts[:length]), selector) for length in range(len(parts) + 1)]
    return [key for key in keys if key in gin_internal._CONFIG]


def _target(reference, scope: str) -> Key:
    return "/".join(reference.scopes) or scope, reference.configurable.selector


def _references(value) -> Iterator:
    """Gin's references inside a bound value, at any depth of lists, tuples and dicts (keys included)."""
    if isinstance(value, gin_internal.ConfigurableReference):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _references(pair)
    elif isinstance(value, (list, tuple, set)):
        for element in value:
            yield from _references(element)


def _default_configurables(selector: str) -> list[str]:
    """Configurables that are default values of the parameters of a configurable."""
    defaults = [parameter.default for parameter in _signature(gin_internal._REGISTRY[selector]).values()]
    callables = [default for default in defaults if inspect.isroutine(default) or inspect.isclass(default)]
    found = [gin_internal._inverse_lookup(default) for default in callables]
    return [configurable.selector for configurable in found if configurable]


def _signature(configurable) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(configurable.wrapped).parameters
    except (TypeError, ValueError):  # some built-in classes that users register have no signature
        return {}
