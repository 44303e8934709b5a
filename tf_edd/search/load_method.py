"""A method from its gin file."""

import gin
import numpy as np

from tf_edd.part import checked
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
        UserError: A missing file, an unknown macro, a method that is not complete.
    """
    bindings = [f"{name} = {_text(value)}" for name, value in macros.items()]
    with config.parsed(gin_files, bindings, ("Method",)):
        return gin.get_configurable(Method)()


def _text(value) -> str:
    """A value as gin text; a NumPy number as the number that it is."""
    return repr(value.item() if isinstance(value, np.generic) else value)
