"""What the name of a class may be: reports, `labels.txt` and the answers of an exported model print it as one line."""

import unicodedata
from collections.abc import Sequence

from tf_edd.errors import UserError

_NOT_TEXT = {"Cc", "Cs", "Zl", "Zp"}  # control characters, bytes that are not UTF-8, separators of lines and paragraphs


def is_text(name: str) -> bool:
    """Whether a text is one line that can be written in UTF-8."""
    return not any(unicodedata.category(character) in _NOT_TEXT for character in name)


def check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        UserError: A name that is empty or not one line of UTF-8, or one that occurs twice.
    """
    names = tuple(names)
    for name in names:
        if not isinstance(name, str) or not name or not is_text(name):
            raise UserError(f"The name of a class must be one line of UTF-8. Received: {name!r}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UserError(f"The names of the classes must differ. Received twice or more: {', '.join(map(repr, twice))}")
    return names
