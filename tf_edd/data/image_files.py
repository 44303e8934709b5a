"""Image files before their pixels are used: sizes and colors, and which of them cannot be read."""

import contextlib
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import PIL.Image
import tensorflow as tf

from tf_edd.data.decoding import decode
from tf_edd.data.sources import PARALLEL_CALLS
from tf_edd.errors import UserError

_GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16B")  # modes of Pillow
_FORMATS = ("PNG", "JPEG", "MPO")  # MPO: JPEG with further pictures, from some cameras
_ORIENTATION = 274  # tag of EXIF
_ERRORS = (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError)  # of Pillow
_MOST = 10  # unreadable files that are named


class Headers(NamedTuple):
    """What the headers of N files tell.

    Attributes:
        sizes: height and width, int32 [N, 2].
        gray: whether it has no color, bool [N].
        turned: whether it is to be shown turned or mirrored, which nothing here does, bool [N].
    """

    sizes: np.ndarray
    gray: np.ndarray
    turned: np.ndarray


def read_headers(paths: Sequence[str]) -> Headers:
    """The headers of the files, without decoding the pixels.

    Raises:
        UserError: Files that cannot be read, all of them: the error of a header leads to a look at the pixels too.
    """
    try:
        with _without_warnings():
            headers = [_header(path) for path in paths]
    except _ERRORS:
        raise unreadable(paths) from None
    sizes, gray, turned = zip(*headers, strict=True)
    return Headers(np.array(sizes, np.int32), np.array(gray), np.array(turned))


def unreadable(paths: Sequence[str], channels: int = 3, otherwise: str = "") -> UserError:
    """The error that names the files which cannot be read.

    Args:
        paths: All files.
        channels: That they are decoded to.
        otherwise: What to say if each of them can be.
    """
    with _without_warnings(), ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        reasons = pool.map(lambda path: _reason(path, channels), paths)
        found = [(path, reason) for path, reason in zip(paths, reasons, strict=True) if reason]
    if not found:
        return UserError(f"Expected readable PNG or JPEG files. Received: {_clean(otherwise)}")
    named = ", ".join(f"{str(path)!r} ({reason})" for path, reason in found[:_MOST])
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return UserError(
        "Expected readable PNG or JPEG files: remove or replace those that are not. "
        f"Received: {len(found)} of {len(paths)} files: {named}{more}"
    )


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides what Pillow says of large photos and of damaged EXIF data, neither of which keeps a file from being read.

    It holds for all threads, so it is entered outside of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield


def _header(path) -> tuple[tuple[int, int], bool, bool]:
    with PIL.Image.open(path) as image:
        if image.format not in _FORMATS:
            raise OSError(f"a {image.format} file with another suffix")
        return (image.height, image.width), image.mode in _GRAY, _is_turned(image)


def _is_turned(image) -> bool:
    if "exif" not in image.info:  # without it `getexif` would decode a PNG, to look behind its pixels
        return False
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except (SyntaxError, ValueError, struct.error):  # damaged EXIF data, which the pixels do not need
        return False


def _reason(path, channels) -> str:
    """Why a file cannot be read; empty if it can."""
    try:
        _header(path)
        decode(tf.io.read_file(path), channels)
    except PIL.Image.DecompressionBombError as error:
        return f"too large: {error}"
    except PIL.UnidentifiedImageError:
        return "no image that Pillow knows"
    except tf.errors.OpError as error:
        return _clean(error.message)
    except _ERRORS as error:
        return getattr(error, "strerror", None) or _clean(str(error)) or type(error).__name__
    return ""


def _clean(message: str) -> str:
    """The first line of an error, without TensorFlow's names of functions and operations."""
    return re.sub(r"\{\{[^}]*\}\}\s*|\s*\[Op:\w+\].*", "", message).strip().split("\n")[0]
