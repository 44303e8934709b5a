"""Imports go downwards only, modules never import each other in a circle, and nothing lies loose in the package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tf_edd"

# From the lowest to the highest: a folder imports from those before it, and from itself.
LAYERS = (
    "errors",
    "field_types",
    "part",
    "runtime",
    "spaces",
    "architectures",
    "operations",
    "networks",
    "data",
    # service
    "analysis",
    "evaluation",
    # what a method composes
    "relaxations",
    "schedules",
    "decisions",
    "discretizers",
    "optimizers",
    "regularizers",
    "edges",
    "samplers",
    "selectors",
    "stoppers",
    "steps",
    # programs
    "actions",
    "training",
    "search",
)
MODULES_ALONE = {"errors", "field_types", "part"}
ABOVE = {"launch", "gin_configs", "benchmarks", "tests"}  # `tf_edd` imports none of them
STARTS_THE_PROGRAMS = "tf_edd.__main__"


def modules() -> dict[str, Path]:
    """Dotted name -> file; a package has the name of its folder."""
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


MODULES = modules()
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}


def for_types_only(node) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imported(node, inside_functions: bool) -> Iterator[str]:
    """The modules that the code below a node imports when it runs; those for type checking are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from (name if name in MODULES else child.module for name in names)
        elif not for_types_only(child) and (
            inside_functions or not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        ):
            yield from imported(child, inside_functions)


def layer(module: str) -> str:
    """The folder (or the module) right below `tf_edd`; `tf_edd` itself has none."""
    return module.split(".")[1] if "." in module else ""


def test_nothing_is_loose():
    loose = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert loose == {"__init__.py", "__main__.py"} | {f"{name}.py" for name in MODULES_ALONE}
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(LAYERS) - MODULES_ALONE


def test_imports_go_downwards():
    upwards = [
        f"{module} imports {other}"
        for module, tree in TREES.items()
        for other in imported(tree, inside_functions=True)
        if other.startswith("tf_edd.") and layer(module) in LAYERS
        if layer(other) not in LAYERS or LAYERS.index(layer(other)) > LAYERS.index(layer(module))
    ]
    assert not upwards


def test_the_package_imports_nothing_that_stands_above_it():
    above = {
        (module, other)
        for module, tree in TREES.items()
        for other in imported(tree, inside_functions=True)
        if other.split(".")[0] in ABOVE and module != STARTS_THE_PROGRAMS
    }
    assert not above


def loaded(module: str) -> set[str]:
    """Modules of the package that this one imports while it is loaded; its folder counts where it is named."""
    return {name for name in imported(TREES[module], inside_functions=False) if name in MODULES}


def test_no_module_is_in_a_circle():
    left = {module: loaded(module) for module in MODULES}
    while free := [module for module, needed in left.items() if not needed & left.keys()]:
        left = {module: needed for module, needed in left.items() if module not in free}
    assert not left, {module: sorted(needed & left.keys()) for module, needed in left.items()}


def documented() -> list[set[str]]:
    """The folders of each row of the table in docs/architecture.md, from the highest row to the lowest."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.split("## The house")[1].splitlines() if line.startswith("| `tf_edd/")]
    return [{name.strip("`/ ").removeprefix("tf_edd/").removesuffix(".py") for name in row.split(",")} for row in rows]


def test_the_documented_rows_hold():
    """As docs/architecture.md says: only from its own row and from the rows below it."""
    rows = documented()
    place = {name: number for number, row in enumerate(rows) for name in row}
    assert set(place) == set(LAYERS)
    upwards = {
        (layer(module), layer(other))
        for module, tree in TREES.items()
        for other in imported(tree, inside_functions=True)
        if {layer(module), layer(other)} <= set(LAYERS) and place[layer(other)] < place[layer(module)]
    }
    assert not upwards


@pytest.mark.parametrize("code", ["if TYPE_CHECKING:\n    import a", "if typing.TYPE_CHECKING:\n    from a import b"])
def test_imports_for_types_are_left_out(code):
    assert not list(imported(ast.parse(code), inside_functions=True))
    assert list(imported(ast.parse(code.replace("TYPE_CHECKING", "FAST")), inside_functions=True)) == ["a"]
