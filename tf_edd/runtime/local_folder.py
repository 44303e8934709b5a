"""The folder that a path of the user means."""

import os
import re
from pathlib import Path

from tf_edd.errors import UserError


def local_folder(path: str | os.PathLike, name: str = "model_dir") -> Path:
    """The folder, with the home folder in place of `~`.

    Args:
        path: What the user gave.
        name: As what, for the errors.

    Raises:
        UserError: An empty path, one of another user's unknown home, or the address of a bucket: files are written by
            the system's own functions.
    """
    text = os.fspath(path)
    if not text:
        raise UserError(f"{name} must be a folder. Received: {name}=''")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text):
        raise UserError(f"{name} must be a folder that the system has mounted. Received: {name}={text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{name} begins with the home folder of nobody. Received: {name}={text!r}") from error
