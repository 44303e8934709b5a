"""The package itself: its public names, imported when they are asked for."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import tf_edd

ROOT = Path(__file__).parents[1]


def in_new_process(code, **environment):
    """What the code prints in a fresh process."""
    variables = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_import_loads_neither_tensorflow_nor_keras_and_sets_the_backend():
    code = """
import sys, tf_edd
print([name for name in ("tensorflow", "keras", "numpy", "gin") if name in sys.modules])
from tf_edd import UserError
print(tf_edd.__version__, issubclass(UserError, ValueError), "tensorflow" in sys.modules)
import os, keras
print(os.environ["KERAS_BACKEND"], keras.config.backend())
"""
    expected = ["[]", f"{tf_edd.__version__} True False", "tensorflow tensorflow"]
    assert in_new_process(code, KERAS_BACKEND="jax") == expected


def test_the_name_search_is_the_function_whatever_was_imported_before():
    code = """
import inspect, tf_edd
if {early}:
    import tf_edd.search.search
print(inspect.isfunction(tf_edd.search))
import tf_edd.search.search, tf_edd.search.plan
from tf_edd import search
from tf_edd.search.search import search as defined
from tf_edd.search import plan
print(search is tf_edd.search is defined, plan.__name__)
"""
    for early in (True, False):
        assert in_new_process(code.format(early=early)) == ["True", "True tf_edd.search.plan"]


def test_every_public_name_is_what_it_says():
    for name, module in tf_edd._PUBLIC.items():
        found = getattr(tf_edd, name)
        assert found is getattr(importlib.import_module(f"tf_edd.{module}"), name) and not inspect.ismodule(found)
        assert found.__doc__, name
    for name in tf_edd._PACKAGES:
        assert getattr(tf_edd, name).__name__ == f"tf_edd.{name}"


def test_every_name_is_listed():
    assert set(tf_edd.__all__) <= set(dir(tf_edd)) and dir(tf_edd) == sorted(dir(tf_edd))
    assert {"search", "retrain", "Method", "load_method", "spaces", "data", "__version__"} <= set(dir(tf_edd))
    folders = {path.name for path in os.scandir(os.path.dirname(tf_edd.__file__)) if path.is_dir()}
    assert {name for name in folders if not name.startswith("__")} - {"search"} == set(tf_edd._PACKAGES)


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'tf_edd' has no attribute 'serach'"):
        tf_edd.serach  # noqa: B018
    with pytest.raises(ImportError):
        from tf_edd import serach  # noqa: F401
    assert not hasattr(tf_edd, "config")


def test_keras_with_another_backend_is_refused():
    code = """
import sys, types
config = types.SimpleNamespace(backend=lambda: "jax")
sys.modules["keras"] = types.SimpleNamespace(config=config)
try:
    import tf_edd
except ImportError as error:
    print(error)
"""
    told = "tf_edd needs Keras with the backend tensorflow; import tf_edd before keras, or set KERAS_BACKEND"
    assert in_new_process(code) == [told]
    loaded = "import os, keras, tf_edd; print(keras.config.backend())"
    assert in_new_process(loaded, KERAS_BACKEND="tensorflow") == ["tensorflow"]


def told_to_setup():
    """The arguments of `setup` in setup.py, as they are written there."""
    [call] = [
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup"
    ]
    return {keyword.arg: keyword.value for keyword in call.keywords}


def required(*extras):
    """The requirements, those of the extras included."""
    told = told_to_setup()
    optional = ast.literal_eval(told["extras_require"])
    lines = [*ast.literal_eval(told["install_requires"]), *(line for extra in extras for line in optional[extra])]
    return [Requirement(line) for line in lines]


def lowest_versions():
    lines = (ROOT / "tests" / "constraints_lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all([specifier.operator for specifier in pin.specifier] == ["=="] for pin in pins)
    return {canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version) for pin in pins}


def test_the_lowest_versions_that_are_tested_are_those_that_are_required():
    requirements = required("test", "lint")
    bounds = {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}
    assert len(bounds) == len(requirements)
    unbounded = [name for name, bound in bounds.items() if ">=" not in {one.operator for one in bound}]
    assert not unbounded
    lowest = {
        name: Version(next(one.version for one in bound if one.operator == ">=")) for name, bound in bounds.items()
    }
    assert lowest == lowest_versions()


def test_the_readme_names_the_versions_that_are_required():
    pythons = SpecifierSet(ast.literal_eval(told_to_setup()["python_requires"]))
    minors = [minor for minor in range(30) if pythons.contains(f"3.{minor}.1")]
    tensorflow = ".".join(map(str, lowest_versions()["tensorflow"].release[:2]))
    expected = f"Python 3.{minors[0]} to 3.{minors[-1]}, TensorFlow {tensorflow} or later."
    assert expected in (ROOT / "README.md").read_text(encoding="utf-8")
