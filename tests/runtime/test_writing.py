"""tf_edd.runtime.writing: what a library cannot write is told like what this package cannot write."""

import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.runtime.writing import writing


@pytest.mark.parametrize(
    "error, told",
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (tf.errors.ResourceExhaustedError(None, None, "no space"), "no space"),
    ],
)
def test_failures_of_python_and_of_tensorflow_name_the_path(error, told):
    with pytest.raises(UserError, match=f"Cannot write runs/a.png: .*{told}"), writing("runs/a.png"):
        raise error


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), writing("runs/a.png"):
        raise ZeroDivisionError
