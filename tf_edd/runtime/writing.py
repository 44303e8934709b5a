"""One error for what the disk refuses, from Python and from TensorFlow alike."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tf_edd.runtime import files


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses, in Python or in TensorFlow, into an error that names `path`.

    Raises:
        UserError: full disk, read-only folder and the like.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise files.write_error(path, error) from error
