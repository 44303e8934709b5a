"""Where raw images come from: memory, image files, or TFDS records.

A source has `size`, `image_shape` (H, W, C), `batches(batch_size, key, skip, drop_remainder)`, a tf.data.Dataset of
(uint8 [B, H, W, C], int32 [B]), and `partition(counts, seed)`. `key` is None (stored order) or a tuple of non-negative
integers; equal keys give equal orders, in every process.
"""

import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_edd.data.decoding import decode, fit
from tf_edd.errors import UserError


def usable_cpus() -> int:
    """Processors that this process may use: in a container or under taskset fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


PARALLEL_CALLS = usable_cpus()  # fixed: see the options in `tf_edd.data.images`


def _rng(key) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _order(size, key) -> np.ndarray:
    return np.arange(size) if key is None else _rng(key).permutation(size)


def _index_parts(size, counts, seed) -> list[np.ndarray]:
    shuffled = _order(size, (seed,))
    return np.split(shuffled[: sum(counts)], np.cumsum(counts)[:-1])


def _digest(rows: np.ndarray) -> str:
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


class ArraySource:
    """Images in memory; parts of it share the pixels.

    Args:
        images: uint8 [N, H, W, C].
        labels: int [N].
        rows: which of the N images belong to this source, in stored order; None means all.
    """

    def __init__(self, images, labels, rows: np.ndarray | None = None):
        # Captured by the datasets' functions as an input, not written into their graphs; a GPU has no use for it.
        with tf.device("CPU"):
            self._images = tf.convert_to_tensor(images, tf.uint8)
            self._labels = tf.convert_to_tensor(labels, tf.int32)
        self._rows = np.arange(len(labels)) if rows is None else rows
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
    def labels(self) -> np.ndarray:
        """int32 [size], in stored order."""
        return self._labels.numpy()[self._rows]

    def batches(self, batch_size, key=None, skip=0, drop_remainder=False) -> tf.data.Dataset:
        """See the module's docstring."""
        rows = self._rows[_order(self.size, key)][skip * batch_size :]
        return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size, drop_remainder).map(self._gather)

    def partition(self, counts, seed) -> tuple[list["ArraySource"], list[str]]:
        """Disjoint random parts, and the SHA-256 of the row numbers of each."""
        parts = [self._rows[part] for part in _index_parts(self.size, counts, seed)]
        return [ArraySource(self._images, self._labels, rows) for rows in parts], [_digest(rows) for rows in parts]


@dataclasses.dataclass(frozen=True)
class FileSource:
    """Image files, decoded when they are read.

    Attributes:
        paths: of the files.
        labels: int32, one a file.
        image_shape: (H, W, C) after `fit`.
        crop_fraction: see `decoding.fit`.
    """

    paths: np.ndarray
    labels: np.ndarray
    image_shape: tuple[int, int, int]
    crop_fraction: float = 1.0

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.paths)

    def batches(self, batch_size, key=None, skip=0, drop_remainder=False) -> tf.data.Dataset:
        """See the module's docstring."""
        order = _order(self.size, key)[skip * batch_size :]
        files = tf.data.Dataset.from_tensor_slices((self.paths[order], self.labels[order]))
        return files.map(self._read, PARALLEL_CALLS, deterministic=True).batch(batch_size, drop_remainder)

    def _read(self, path, label):
        return fit(decode(tf.io.read_file(path), self.image_shape[-1]), self.image_shape, self.crop_fraction), label

    def partition(self, counts, seed) -> tuple[list["FileSource"], list[str]]:
        """Disjoint random parts, and the SHA-256 of the row numbers of each."""
        parts = _index_parts(self.size, counts, seed)
        return [self.take(rows) for rows in parts], [_digest(rows) for rows in parts]

    def take(self, rows: np.ndarray) -> "FileSource":
        """The files with these numbers."""
        return dataclasses.replace(self, paths=self.paths[rows], labels=self.labels[rows])


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """Records of a prepared TFDS data set, read from disk in each epoch, for data sets larger than the memory.

    The order of an epoch is that of shuffled files and of a shuffle buffer: reproducible, yet not uniform. `skip` reads
    past the skipped records.

    Attributes:
        builder: the prepared tfds.core.DatasetBuilder.
        split: name of a split or of a slice of one, as TFDS writes it (`train[:80%]`).
        keys: names of the image and of the label in the features.
        image_shape: (H, W, C) after `fit`.
        crop_fraction: see `decoding.fit`.
        shuffle_buffer: images in the shuffle buffer.
    """

    builder: tfds.core.DatasetBuilder
    split: str
    keys: tuple[str, str]
    image_shape: tuple[int, int, int]
    crop_fraction: float = 1.0
    shuffle_buffer: int = 10_000

    @property
    def size(self) -> int:
        """Number of images."""
        return self.builder.info.splits[self.split].num_examples

    def batches(self, batch_size, key=None, skip=0, drop_remainder=False) -> tf.data.Dataset:
        """See the module's docstring."""
        records = self._records(key).skip(skip * batch_size)
        return records.map(self._pair, PARALLEL_CALLS, deterministic=True).batch(batch_size, drop_remainder)

    def _records(self, key):
        seed = None if key is None else int(_rng(key).integers(2**31))
        config = tfds.ReadConfig(shuffle_seed=seed, try_autocache=False)
        # Decoding is left for after the shuffle buffer, which then holds compressed images, and after `skip`.
        decoders = {self.keys[0]: tfds.decode.SkipDecoding()}
        records = self.builder.as_dataset(
            split=self.split, shuffle_files=seed is not None, read_config=config, decoders=decoders
        )
        records = records.map(lambda record: tuple(record[name] for name in self.keys))
        return records if seed is None else records.shuffle(self.shuffle_buffer, seed, reshuffle_each_iteration=False)

    def _pair(self, encoded, label):
        # The static shape, where the data set has one, lets `fit` do nothing.
        image = tf.ensure_shape(decode(encoded, self.image_shape[-1]), self.builder.info.features[self.keys[0]].shape)
        return fit(image, self.image_shape, self.crop_fraction), tf.cast(label, tf.int32)

    def partition(self, counts, seed) -> tuple[list["TfdsSource"], list[str]]:
        """Consecutive slices (TFDS shuffles when it writes) and the SHA-256 of the text of each; `seed` is not used."""
        instructions = tfds.core.ReadInstruction.from_spec(self.split).to_absolute(self.builder.info.splits)
        if len(instructions) != 1:
            raise UserError(
                "A data set read from disk can be divided only when its training images are one slice of one split. "
                f"Received: {self.split!r}"
            )
        base = instructions[0]
        edges = np.cumsum([base.from_ or 0, *counts])
        slices = [f"{base.splitname}[{low}:{high}]" for low, high in zip(edges[:-1], edges[1:], strict=True)]
        sources = [dataclasses.replace(self, split=text) for text in slices]
        return sources, [hashlib.sha256(text.encode()).hexdigest() for text in slices]


def to_memory(source) -> ArraySource:
    """Reads all images of a source once, in stored order."""
    images = np.empty((source.size, *source.image_shape), np.uint8)
    labels = np.empty(source.size, np.int32)
    start = 0
    for pixels, classes in source.batches(1000).as_numpy_iterator():
        stop = start + len(classes)
        images[start:stop], labels[start:stop] = pixels, classes
        start = stop
    return ArraySource(images, labels)


def fits_memory(sources, in_memory, memory_limit: int) -> bool:
    """Whether the decoded images are to be held in memory.

    Args:
        sources: all sources of a data set.
        in_memory: True, False, or "auto": when they take at most `memory_limit` bytes.
        memory_limit: bytes.
    """
    if in_memory not in (True, False, "auto"):
        raise UserError(f"in_memory must be True, False or 'auto'. Received: in_memory={in_memory!r}")
    needed = sum(source.size * int(np.prod(source.image_shape)) for source in sources)
    return needed <= memory_limit if in_memory == "auto" else in_memory
