"""A method from its gin file."""

import ast

import gin
import numpy as np

from tf_edd.errors import UserError
from tf_edd.part import checked, shown
from tf_edd.runtime import config
from tf_edd.search import parts  # noqa: F401 (registers what the gin files name)
from tf_edd.search.method import Method


@checked()
def load_method(*gin_files: str, **macros) -> Method:
    """The `Method` that gin files compose; gin's own configuration stays as it was.

        load_method("methods/edd_darts.gin", epochs=25)
        load_method("methods/darts.gin", "methods/self_distillation.gin", epochs=50, step_order="arch_first")

    Args:
        gin_files: Of a method and what joins it, found among the installed configurations or from the working
            directory. A recipe may be among them; what it binds beside the method is checked and left.
        macros: Values of the macros that the files read; `epochs` is the length of the search. Numbers of a recipe have
            the defaults of `gin_configs/defaults.gin`.

    Raises:
        UserError: A missing file, an unknown macro, a macro that gin cannot write, a method that is not complete.
    """
    bindings = [f"{name} = {_text(name, value)}" for name, value in macros.items()]
    with config.parsed(gin_files, bindings, ("Method",)):
        return gin.get_configurable(Method)()


def _text(name: str, value) -> str:
    """The value of a macro as gin text.

    Raises:
        UserError: gin has no text for it.
    """
    text = repr(_plain(value))
    try:
        readable = not isinstance(ast.literal_eval(text), (set, bytes, complex))
    except (ValueError, SyntaxError):  # an object, or inf and nan
        readable = False
    if not readable:
        raise UserError(f"A macro must be a number, a text or a list of these. Received: {name}={shown(value)}")
    return text


def _plain(value):
    """NumPy numbers and arrays as Python's numbers and lists."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
