"""A folder of images: one subfolder per class, with or without train and test folders above them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_edd.data.class_folders import SUFFIXES, ClassFolders, Files, describe_skipped, scan
from tf_edd.data.decoding import check_resize
from tf_edd.data.image_files import Headers, read_headers, unreadable
from tf_edd.data.images import ImageData
from tf_edd.data.normalization import measure
from tf_edd.data.sources import FileSource, check_memory, fits_memory, to_memory
from tf_edd.data.stratified import check_fraction, hold_out
from tf_edd.errors import UserError, require_count, require_one_of
from tf_edd.part import part


@part(module="tf_edd.data")
class ImageFolder:
    """Images in class folders: the layout of `tfds.ImageFolder`, `DIR/train/cat/x.png`, or `DIR/cat/x.png`.

    The second folder of the first layout may be called test, val, valid or validation. Without one, part of the images
    of each class becomes the test split. Only PNG and JPEG files are read; `ImageData.notes` counts the others.

    Attributes:
        directory: The folder; a relative one is looked up in the `data_dir` of `load`, if that is given.
        image_size: (height, width) of the result; None if all files have the same size. Other images are scaled until
            they cover it, and what lies over its edges is cut off.
        crop_fraction: Share of the scaled image that is kept along its tighter side, in (0, 1].
        channels: 1 or 3; None takes 1 if no file has color, else 3.
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
            UserError: no such folder, no images, fewer than two classes, names that are not one line of UTF-8, files
                that cannot be decoded, or images of different sizes without `image_size`.
        """
        root = Path(data_dir or "").expanduser() / Path(self.directory).expanduser()
        found = scan(root)
        train, test = (found.train, found.test) if found.test else _divide(found, self.test_fraction, self.seed)
        paths = np.concatenate([train[0], test[0]])
        headers = read_headers(paths)
        shape = _image_shape(paths, headers.sizes, headers.gray, self.image_size, self.channels)
        notes = tuple(_notes(found, headers, shape, self.crop_fraction))
        train = FileSource(*train, shape, self.crop_fraction, self.stratified, str(root))
        test = FileSource(*test, shape, self.crop_fraction, root=str(root))
        data = _read(root.name, train, test, found.classes, self.in_memory, self.memory_limit)
        return dataclasses.replace(data, notes=notes)


def _image_shape(paths, sizes, gray, image_size, channels) -> tuple[int, int, int]:
    channels = channels or (1 if gray.all() else 3)
    if image_size:
        return (*image_size, channels)
    other = np.flatnonzero((sizes != sizes[0]).any(axis=1))
    if len(other):
        first, second = tuple(sizes[0].tolist()), tuple(sizes[other[0]].tolist())
        raise UserError(
            "The images differ in size: set ImageFolder.image_size = (height, width). Received: image_size=None, "
            f"{str(paths[0])!r} of {first}, {str(paths[other[0]])!r} of {second}"
        )
    return (*sizes[0].tolist(), channels)


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
        raise unreadable([*train.paths, *test.paths], train.image_shape[-1], error.message) from None
    return ImageData.from_sources(name, *sources, classes, moments)


def _divide(found: ClassFolders, test_fraction, seed) -> tuple[Files, Files]:
    paths, labels = found.train
    train, test = hold_out(labels, test_fraction, seed, found.classes)
    return (paths[train], labels[train]), (paths[test], labels[test])


def _notes(found: ClassFolders, headers: Headers, shape, crop_fraction) -> Iterator[str]:
    """What one would not expect: gray or turned images, parts that are cut off, files that are not read."""
    sizes, gray, turned = headers
    if gray.any() and not gray.all() and shape[-1] == 3:
        yield f"{gray.sum():,} of {len(gray):,} files are gray; all are read as RGB (see ImageFolder.channels)"
    resized = len(sizes) if crop_fraction < 1 else int((sizes != shape[:2]).any(axis=1).sum())
    if resized:
        yield (
            f"{resized:,} of {len(sizes):,} images are scaled and cropped around the center, to {shape[0]} x {shape[1]}"
        )
    if turned.any():
        yield (
            f"{turned.sum():,} of {len(turned):,} files have an EXIF orientation, which is not applied: turn them first"
        )
    if found.skipped:
        yield f"skipped: {describe_skipped(found.skipped)} (only {', '.join(SUFFIXES)} files are read)"
