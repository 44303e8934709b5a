"""Where raw images come from: memory or image files; `tfds_source` has the third kind."""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np
import tensorflow as tf

from tf_edd.data.decoding import decode, resize_and_crop
from tf_edd.data.stratified import stratified_order
from tf_edd.errors import require_one_of, require_positive

PassKey = Callable[[int], Sequence[int]]


class Source(Protocol):
    """Raw images that can be read in batches and divided."""

    decodes: ClassVar[bool]  # whether it decodes its images one by one, so that `batches` takes `read`

    @property
    def size(self) -> int:
        """Number of images."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""

    @property
    def known_labels(self) -> np.ndarray | None:
        """Labels in stored order; None where the images would have to be read for them."""

    def batches(
        self, batch_size: int, key=None, skip: int = 0, drop_remainder: bool = False, read: Callable | None = None
    ) -> tf.data.Dataset:
        """One epoch of (uint8 [B, H, W, C], int32 [B]).

        Args:
            batch_size: Images per batch.
            key: None for the stored order, non-negative integers for a random one (equal keys give equal orders, in
                every process), or the order itself, where the images can be read in any order: an array of positions
                in stored order.
            skip: Batches to leave out at the start.
            drop_remainder: Whether to leave out the last batch if it is smaller.
            read: Function (uint8 [h, w, C], position in the epoch) -> uint8 [H, W, C] that takes the place of
                `decoding.resize_and_crop`; only with `decodes`.
        """

    def stream(
        self, batch_size: int, pass_key: PassKey, first: int, batches: int, read: Callable | None = None
    ) -> tf.data.Dataset:
        """A stretch of an endless sequence of images, pass after pass over all of them without a gap.

        Args:
            batch_size: Images per batch.
            pass_key: Number of a pass, from 0 -> the key of its order, see `batches`.
            first: Number of the first batch, from 0.
            batches: How many; all are full, and one may hold images of several passes.
            read: See `batches`; the position counts from the first image of the first pass.
        """

    def partition(self, counts: Sequence[int], seed: int) -> tuple[list["Source"], list[str]]:
        """Disjoint random parts of these sizes, and a SHA-256 of what each holds.

        The parts of a stratified source have the same share of each class.
        """

    def content(self) -> dict[str, str]:
        """What tells its images from others, in any process and wherever their files lie."""


def usable_cpus() -> int:
    """Processors that this process may use: in a container or under taskset fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


PARALLEL_CALLS = usable_cpus()  # fixed: see the options in `tf_edd.data.images`


def key_rng(key) -> np.random.Generator:
    """NumPy's generator for a key; its stream is the same in all versions of NumPy."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _order(size, key) -> np.ndarray:
    if isinstance(key, np.ndarray):
        return key
    return np.arange(size) if key is None else key_rng(key).permutation(size)


def stream_passes(size: int, first: int, images: int) -> range:
    """Numbers of the passes over `size` images that hold the images number `first` to `first` + `images` - 1."""
    return range(first // size, -(-(first + images) // size))


def _stream_order(size: int, pass_key: PassKey, first: int, images: int) -> np.ndarray:
    """Positions of `images` images of an endless sequence of passes, from image number `first` on."""
    passes = stream_passes(size, first, images)
    start = first - passes.start * size
    return np.concatenate([_order(size, pass_key(number)) for number in passes])[start : start + images]


def index_parts(labels, counts, seed, stratified) -> list[np.ndarray]:
    """Row numbers of disjoint random parts of these sizes."""
    shuffled = stratified_order(labels, key_rng((seed,))) if stratified else _order(len(labels), (seed,))
    return np.split(shuffled[: sum(counts)], np.cumsum(counts)[:-1])


def digest(rows: np.ndarray) -> str:
    """SHA-256 of row numbers."""
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


def _content(parts: Iterable[bytes | np.ndarray]) -> dict[str, str]:
    """The SHA-256 of all parts, as `Source.content` returns it."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return {"sha256": found.hexdigest()}


def decoded(source, records, first: int, read=None, stored_shape=None) -> tf.data.Dataset:
    """Encoded records as images of one size: (uint8 [H, W, C], int32).

    Args:
        source: The source, with `image_shape` and `crop_fraction`.
        records: Dataset of (encoded image, label).
        first: Position in the epoch of the first record.
        read: See `Source`; None is `decoding.resize_and_crop`.
        stored_shape: Static shape of the stored images, if it is known: images of the right size are not resized.
    """

    def convert(position, record):
        image = decode(record[0], source.image_shape[-1])
        if stored_shape is not None:
            image = tf.ensure_shape(image, stored_shape)
        if read:
            image = read(image, position)
        else:
            image = resize_and_crop(image, source.image_shape, source.crop_fraction)
        return image, tf.cast(record[1], tf.int32)

    return records.enumerate(first).map(convert, PARALLEL_CALLS, deterministic=True)


def _decoded_batches(source, batch_size, key=None, skip=0, drop_remainder=False, read=None) -> tf.data.Dataset:
    """`Source.batches` of a source whose encoded images can be read in any order."""
    records = source._records(_order(source.size, key)[skip * batch_size :])
    return decoded(source, records, skip * batch_size, read).batch(batch_size, drop_remainder)


def _decoded_stream(source, batch_size, pass_key, first, batches, read=None) -> tf.data.Dataset:
    """`Source.stream` of such a source."""
    records = source._records(_stream_order(source.size, pass_key, first * batch_size, batches * batch_size))
    return decoded(source, records, first * batch_size, read).batch(batch_size, drop_remainder=True)


class ArraySource:
    """Images in memory; parts of it share the pixels.

    Args:
        images: uint8 [N, H, W, C].
        labels: int [N].
        rows: Numbers of the images that belong to this source, in stored order; None means all.
        stratified: Whether parts have the same share of each class.
    """

    decodes: ClassVar[bool] = False

    def __init__(self, images, labels, rows: np.ndarray | None = None, stratified: bool = False):
        # Captured by the datasets' functions as an input, not written into their graphs; not needed on a GPU.
        with tf.device("CPU"):
            self._images = tf.convert_to_tensor(images, tf.uint8)
            self._labels = tf.convert_to_tensor(labels, tf.int32)
        self._rows = np.arange(len(labels)) if rows is None else rows
        self._stratified = stratified
        self._gather = tf.function(self._take, autograph=False)

    def _take(self, rows):
        return tf.gather(self._images, rows), tf.gather(self._labels, rows)

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self._rows)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return tuple(self._images.shape[1:])

    @property
    def known_labels(self) -> np.ndarray:
        """int32 [size], in stored order."""
        return self._labels.numpy()[self._rows]

    def batches(self, batch_size, key=None, skip=0, drop_remainder=False, read=None) -> tf.data.Dataset:
        del read  # there is nothing to decode
        rows = self._rows[_order(self.size, key)][skip * batch_size :]
        return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size, drop_remainder).map(self._gather)

    def stream(self, batch_size, pass_key, first, batches, read=None) -> tf.data.Dataset:
        order = _stream_order(self.size, pass_key, first * batch_size, batches * batch_size)
        return self.batches(batch_size, order, drop_remainder=True)

    def partition(self, counts, seed) -> tuple[list["ArraySource"], list[str]]:
        """Disjoint random parts, and the SHA-256 of the row numbers of each."""
        parts = [self._rows[part] for part in index_parts(self.known_labels, counts, seed, self._stratified)]
        sources = [ArraySource(self._images, self._labels, rows, self._stratified) for rows in parts]
        return sources, [digest(rows) for rows in parts]

    def content(self) -> dict[str, str]:
        """The SHA-256 of shape, pixels and labels, in stored order."""
        with tf.device("CPU"):  # in pieces: another copy of all images may not fit into the memory
            starts = range(0, self.size, 10_000)
            pixels = (tf.gather(self._images, self._rows[start : start + 10_000]).numpy() for start in starts)
            shape = str((self.size, *self.image_shape)).encode()
            return _content(itertools.chain([shape], pixels, [self.known_labels]))


@dataclasses.dataclass(frozen=True)
class FileSource:
    """Image files, decoded when they are read.

    Attributes:
        paths: Paths of the files.
        labels: int32, one per file.
        image_shape: (H, W, C) after `decoding.resize_and_crop`.
        crop_fraction: See `decoding.resize_and_crop`.
        stratified: Whether parts have the same share of each class.
        root: Folder that the files lie in; in `content` they are named below it.
    """

    paths: np.ndarray
    labels: np.ndarray
    image_shape: tuple[int, int, int]
    crop_fraction: float = 1.0
    stratified: bool = False
    root: str = ""
    decodes: ClassVar[bool] = True
    batches, stream = _decoded_batches, _decoded_stream

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def known_labels(self) -> np.ndarray:
        """The labels."""
        return self.labels

    def _records(self, order: np.ndarray) -> tf.data.Dataset:
        """Encoded images and labels at these positions."""
        files = tf.data.Dataset.from_tensor_slices((self.paths[order], self.labels[order]))
        return files.map(lambda path, label: (tf.io.read_file(path), label), PARALLEL_CALLS, deterministic=True)

    def partition(self, counts, seed) -> tuple[list["FileSource"], list[str]]:
        """Disjoint random parts, and the SHA-256 of the row numbers of each."""
        parts = index_parts(self.labels, counts, seed, self.stratified)
        return [self.take(rows) for rows in parts], [digest(rows) for rows in parts]

    def content(self) -> dict[str, str]:
        """The SHA-256 of names, labels and sizes of the files, in stored order."""
        names = (str(path).removeprefix(self.root).replace(os.sep, "/") for path in self.paths)
        sizes = map(os.path.getsize, self.paths)
        rows = zip(names, self.labels, sizes, strict=True)
        return _content(f"{name}\0{label}\0{size}\n".encode() for name, label, size in rows)

    def take(self, rows: np.ndarray) -> "FileSource":
        """The files with these numbers."""
        return dataclasses.replace(self, paths=self.paths[rows], labels=self.labels[rows])


@dataclasses.dataclass(frozen=True)
class EncodedSource:
    """Encoded images held in memory, decoded when they are used: a part of a data set that is read from disk.

    Attributes:
        encoded: String tensor [N], on the CPU.
        labels: int32 [N].
        image_shape: (H, W, C) after `decoding.resize_and_crop`.
        crop_fraction: See `decoding.resize_and_crop`.
        rows: Numbers of the images that belong to this source.
    """

    encoded: tf.Tensor
    labels: np.ndarray
    image_shape: tuple[int, int, int]
    crop_fraction: float
    rows: np.ndarray
    decodes: ClassVar[bool] = True
    batches, stream = _decoded_batches, _decoded_stream

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.rows)

    @property
    def known_labels(self) -> np.ndarray:
        """The labels of the rows."""
        return self.labels[self.rows]

    def _records(self, order: np.ndarray) -> tf.data.Dataset:
        """Encoded images and labels at these positions."""
        rows = self.rows[order]
        order = tf.data.Dataset.from_tensor_slices((rows, self.labels[rows]))
        return order.map(lambda row, label: (tf.gather(self.encoded, row), label))

    def partition(self, counts, seed) -> tuple[list["EncodedSource"], list[str]]:
        """Disjoint random parts with the same share of each class, and the SHA-256 of the row numbers of each."""
        parts = [self.rows[part] for part in index_parts(self.known_labels, counts, seed, stratified=True)]
        return [dataclasses.replace(self, rows=rows) for rows in parts], [digest(rows) for rows in parts]

    def content(self) -> dict[str, str]:
        """The SHA-256 of encoded images and labels, in stored order."""
        encoded = tf.gather(self.encoded, self.rows).numpy()
        return _content([self.known_labels, *encoded])


def to_memory(source) -> ArraySource:
    """The images of a source in memory, read once in stored order."""
    images = np.empty((source.size, *source.image_shape), np.uint8)
    labels = np.empty(source.size, np.int32)
    start = 0
    for pixels, classes in source.batches(1000).as_numpy_iterator():
        stop = start + len(classes)
        images[start:stop], labels[start:stop] = pixels, classes
        start = stop
    return ArraySource(images, labels, stratified=source.stratified)


def fits_memory(sources, in_memory, memory_limit: int) -> bool:
    """Whether the decoded images are to be held in memory.

    Args:
        sources: All sources of a data set.
        in_memory: True, False, or "auto": if they take at most `memory_limit` bytes.
        memory_limit: Bytes.
    """
    needed = sum(source.size * int(np.prod(source.image_shape)) for source in sources)
    return needed <= memory_limit if in_memory == "auto" else in_memory


def check_memory(in_memory, memory_limit) -> None:
    """Raises UserError for values that are not those of `fits_memory`."""
    require_one_of((True, False, "auto"), in_memory=in_memory)
    require_positive(memory_limit=memory_limit)
