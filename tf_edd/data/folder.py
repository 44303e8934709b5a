"""A folder of images: one subfolder per class, with or without train and test folders above them."""

import dataclasses
import os
from pathlib import Path

import gin
import numpy as np
import PIL.Image
import tensorflow as tf

from tf_edd.data.decoding import check_resize, decode
from tf_edd.data.images import ImageData
from tf_edd.data.normalization import measure
from tf_edd.data.sources import FileSource, check_memory, fits_memory, to_memory
from tf_edd.data.stratified import check_fraction, hold_out
from tf_edd.errors import UserError, require_count, require_one_of

SUFFIXES = (".jpg", ".jpeg", ".png")
_TEST_NAMES = ("test", "val", "valid", "validation")


@gin.register(module="tf_edd.data")
@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """Images in class folders: the layout of `tfds.ImageFolder`, `DIR/train/cat/x.png`, or `DIR/cat/x.png`.

    The second folder of the first layout may be called test, val, valid or validation. Without one, part of the images
    of each class becomes the test split.

    Attributes:
        directory: The folder; a relative one is looked up in the `data_dir` of `load`, if that is given.
        image_size: (height, width) of the result; None if all files have the same size.
        crop_fraction: Share of the scaled image that is kept along its tighter side, in (0, 1].
        channels: 1 or 3; None takes those of the first file.
        test_fraction: Share of each class that becomes the test split if there is no folder for it, in (0, 1).
        seed: Seed of that choice.
        in_memory: True, False (read from disk in each epoch), or "auto": True up to `memory_limit` bytes of pixels.
        memory_limit: Bytes, see `in_memory`.
        stratified: Whether the parts of a search are drawn class by class, with the same share of each.

    Raises:
        UserError: a value that is not possible.
    """

    directory: str
    image_size: tuple[int, int] | None = None
    crop_fraction: float = 1.0
    channels: int | None = None
    test_fraction: float = 0.2
    seed: int = 0
    in_memory: bool | str = "auto"
    memory_limit: int = 4 * 10**9
    stratified: bool = False

    def __post_init__(self):
        check_resize(self.image_size, self.crop_fraction)
        object.__setattr__(self, "image_size", self.image_size and tuple(self.image_size))
        require_one_of((1, 3, None), channels=self.channels)
        check_fraction(self.test_fraction)
        require_count(0, seed=self.seed)
        check_memory(self.in_memory, self.memory_limit)

    def load(self, data_dir: str | None = None) -> ImageData:
        """The data set of the folder.

        Args:
            data_dir: Where a relative `directory` is looked up.

        Raises:
            UserError: no such folder, no images, fewer than two classes, a file that cannot be decoded, or images of
                different sizes without `image_size`.
        """
        root = Path(data_dir or "").expanduser() / Path(self.directory).expanduser()
        train, test, classes = _scan(root, self.test_fraction, self.seed)
        shape = _image_shape(np.concatenate([train[0], test[0]]), self.image_size, self.channels)
        train = FileSource(*train, shape, self.crop_fraction, self.stratified, str(root))
        test = FileSource(*test, shape, self.crop_fraction, root=str(root))
        return _read(root.name, train, test, classes, self.in_memory, self.memory_limit)


def _read(name, train: FileSource, test: FileSource, classes, in_memory, memory_limit) -> ImageData:
    """The data set of two sources. Each file is decoded once: a corrupt one is found now, not in the tenth epoch."""
    sources = train, test
    try:
        if fits_memory(sources, in_memory, memory_limit):
            sources = to_memory(train), to_memory(test)
        else:
            measure(test.batches(100))
        moments = measure(sources[0].batches(100))
    except tf.errors.OpError as error:
        raise _unreadable([*train.paths, *test.paths], train.image_shape[-1], error) from error
    return ImageData.from_sources(name, *sources, classes, moments)


def _scan(root, test_fraction, seed):
    """((paths, labels) of training, the same of test, class names)."""
    if not root.is_dir():
        raise UserError(f"Expected a folder of class folders. Received: {str(root)!r}, which is not a folder")
    folders = {path.name: path for path in _folders(root)}
    test_name = next((name for name in _TEST_NAMES if name in folders), None)
    if "train" in folders:
        classes = _class_names(folders["train"])
        train = _files(folders["train"], classes)
        if test_name:
            return train, _files(folders[test_name], classes), classes
    else:
        classes = _class_names(root)
        train = _files(root, classes)
    return *_divide(*train, test_fraction, seed), classes


def _divide(paths, labels, test_fraction, seed):
    train, test = hold_out(labels, test_fraction, seed)
    return (paths[train], labels[train]), (paths[test], labels[test])


def _folders(root) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _class_names(root) -> tuple[str, ...]:
    names = tuple(path.name for path in _folders(root))
    if len(names) < 2:
        raise UserError(f"Expected at least two class folders in {str(root)!r}. Received: {list(names)}")
    return names


def _files(root, classes) -> tuple[np.ndarray, np.ndarray]:
    unknown = sorted({path.name for path in _folders(root)} - set(classes))
    if unknown:
        raise UserError(f"{str(root)!r} must hold the classes of the training folder only. Received: {unknown}")
    paths, labels = [], []
    for label, name in enumerate(classes):
        found = _image_files(root / name)
        paths += found
        labels += [label] * len(found)
    return np.array(paths), np.array(labels, np.int32)


def _image_files(folder) -> list[str]:
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    found = [str(folder / name) for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    if not found:
        raise UserError(f"Expected images ({', '.join(SUFFIXES)}) in {str(folder)!r}. Received: none")
    return found


def _image_shape(paths, image_size, channels) -> tuple[int, int, int]:
    first_size, mode = _header(paths[0])
    channels = channels or (1 if mode in ("1", "L", "I;16") else 3)
    if image_size:
        return (*image_size, channels)
    for path in paths[1:]:
        size, _ = _header(path)
        if size != first_size:
            raise UserError(
                "The images differ in size: set ImageFolder.image_size = (height, width). Received: image_size=None, "
                f"{paths[0]!r} of {first_size}, {path!r} of {size}"
            )
    return (*first_size, channels)


def _header(path) -> tuple[tuple[int, int], str]:
    """((height, width), PIL mode), without decoding the pixels."""
    try:
        with PIL.Image.open(path) as image:
            return (image.height, image.width), image.mode
    except OSError as error:
        raise _corrupt(path, error) from error


def _corrupt(path, reason) -> UserError:
    return UserError(f"Expected a readable PNG or JPEG. Received: {str(path)!r} ({str(reason).splitlines()[0]})")


def _unreadable(paths, channels, error) -> UserError:
    """The error for the first file that cannot be decoded: the batched pass does not say which one it was."""
    for path in paths:
        try:
            decode(tf.io.read_file(path), channels)
        except tf.errors.OpError as reason:
            return _corrupt(path, reason.message)
    return UserError(f"Expected readable PNG or JPEG files. Received: {error.message}")
