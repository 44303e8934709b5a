"""The package itself: its public names, imported when they are asked for."""

import importlib
import inspect
import os
import subprocess
import sys

import pytest

import tf_edd


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
