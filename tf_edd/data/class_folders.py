"""Class folders: which image files lie in them, and what is left aside."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tf_edd.data.class_names import check_class_names, is_text
from tf_edd.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png")
_TEST_NAMES = ("test", "val", "valid", "validation")
_PLURALS = {"folder": "folders", "image": "images", "not a regular file": "not regular files"}
_MOST = 6  # kinds of skipped files that are named one by one

Files = tuple[np.ndarray, np.ndarray]  # paths and labels


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """The image files below a folder.

    Attributes:
        train: Paths and labels.
        test: The same of the test folder; None without one.
        classes: The names of the classes, in the order of the labels.
        skipped: Kind -> how many files or folders are not read, the most frequent kind first.
    """

    train: Files
    test: Files | None
    classes: tuple[str, ...]
    skipped: dict[str, int]


def scan(root: Path) -> ClassFolders:
    """The image files of `root/CLASS`, or of `root/train/CLASS` and `root/test/CLASS`.

    Raises:
        UserError: No such folder, fewer than two classes, a class without images, other classes in the test folder, or
            names that are not one line of UTF-8.
    """
    if not root.is_dir():
        raise UserError(f"Expected a folder of class folders. Received: {str(root)!r}, which is not a folder")
    skipped = collections.Counter()
    folders = {path.name: path for path in _folders(root)}
    test_name = next((name for name in _TEST_NAMES if name in folders), None)
    if not _has_splits(folders):
        classes = _class_names(root)
        return ClassFolders(_files(root, classes, skipped), None, classes, _counted(skipped))
    classes = _class_names(folders["train"])
    train = _files(folders["train"], classes, skipped)
    test = _files(folders[test_name], classes, skipped) if test_name else None
    skipped.update(f"folder {name!r}" for name in folders if name not in ("train", test_name))
    return ClassFolders(train, test, classes, _counted(skipped))


def _has_splits(folders: dict[str, Path]) -> bool:
    """Whether `train` is the training split, not a class such as the vehicle."""
    if "train" not in folders:
        return False
    return bool(_folders(folders["train"])) or folders.keys() <= {"train", *_TEST_NAMES}


def describe_skipped(skipped: dict[str, int]) -> str:
    """What is not read, for people: "12 .gif, 3 .webp, 1 hidden"."""
    rows = list(skipped.items())
    others = sum(count for _, count in rows[_MOST:])
    texts = [f"{count:,} {_plural(kind) if count > 1 else kind}" for kind, count in rows[:_MOST]]
    more = [f"{others:,} other{'s' if others > 1 else ''}"] if others else []
    return ", ".join(texts + more)


def _plural(kind: str) -> str:
    for one, many in _PLURALS.items():
        if kind == one or kind.startswith(f"{one} "):
            return many + kind.removeprefix(one)
    return kind


def _counted(skipped: collections.Counter) -> dict[str, int]:
    return dict(sorted(skipped.items(), key=lambda row: (-row[1], row[0])))


def _folders(root) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _class_names(root) -> tuple[str, ...]:
    names = tuple(path.name for path in _folders(root))
    if len(names) < 2:
        raise UserError(f"Expected at least two class folders in {str(root)!r}. Received: {list(names)}")
    return check_class_names(names)


def _files(root, classes, skipped) -> Files:
    unknown = sorted({path.name for path in _folders(root)} - set(classes))
    if unknown:
        raise UserError(f"{str(root)!r} must hold the classes of the training folder only. Received: {unknown}")
    paths, labels = [], []
    for label, name in enumerate(classes):
        found = _image_files(root / name, skipped)
        paths += found
        labels += [label] * len(found)
    skipped.update(f"{kind} beside the class folders" for kind in _beside(root))
    return np.array(paths), np.array(labels, np.int32)


def _image_files(folder, skipped) -> list[str]:
    found, here = [], collections.Counter()
    for entry in _entries(folder):
        kind = _kind(entry)
        if kind:
            here[kind] += 1
        elif not is_text(entry.path):
            raise UserError(f"Expected paths of one line in UTF-8: rename the file. Received: {entry.path!r}")
        else:
            found.append(entry.path)
    if not found:
        but = f" (skipped: {describe_skipped(_counted(here))})" if here else ""
        raise UserError(f"Expected images ({', '.join(SUFFIXES)}) in {str(folder)!r}. Received: none{but}")
    skipped.update(here)
    return found


def _beside(root) -> Iterator[str]:
    """The kind of each visible file that lies where only class folders are looked for."""
    for entry in _entries(root):
        if not entry.is_dir() and not entry.name.startswith("."):
            yield _kind(entry) or "image"


def _entries(folder) -> list[os.DirEntry]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _kind(entry: os.DirEntry) -> str:
    """Why an entry of a class folder is not read; empty for an image. Pipes and devices could be read for ever."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_dir():
        return "folder"
    if not entry.is_file():
        return "not a regular file"
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in SUFFIXES:
        return ""
    return suffix if suffix and suffix.isprintable() else "without a suffix"
