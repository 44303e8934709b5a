"""Raw images from the records of a prepared TFDS data set."""

import dataclasses
import functools
import hashlib
from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tf_edd.data.sources import EncodedSource, decoded, digest, index_parts, key_rng, stream_passes
from tf_edd.errors import UserError


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """Records of a prepared TFDS data set, read from disk in each epoch, for data sets larger than the memory.

    The order of an epoch is that of shuffled files and of a shuffle buffer: reproducible, yet not uniform. `skip` reads
    past the skipped records.

    Attributes:
        builder: The prepared tfds.core.DatasetBuilder.
        split: Name of a split, or of a slice of one, in the notation of TFDS (`train[:80%]`).
        keys: Names of the image and of the label in the features.
        image_shape: (H, W, C) after `decoding.resize_and_crop`.
        crop_fraction: See `decoding.resize_and_crop`.
        shuffle_buffer: Number of images in the shuffle buffer.
        stratified: Whether parts are drawn class by class, read once and held in memory, encoded. Otherwise they are
            consecutive slices, read from disk in each epoch.
        memory_limit: Bytes that stratified parts may take together.
    """

    builder: tfds.core.DatasetBuilder
    split: str
    keys: tuple[str, str]
    image_shape: tuple[int, int, int]
    crop_fraction: float = 1.0
    shuffle_buffer: int = 10_000
    stratified: bool = False
    memory_limit: int = 4 * 10**9
    decodes: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Number of images."""
        return self.builder.info.splits[self.split].num_examples

    @property
    def known_labels(self) -> None:
        """None: they lie in the records."""
        return None

    def batches(self, batch_size, key=None, skip=0, drop_remainder=False, read=None) -> tf.data.Dataset:
        if isinstance(key, np.ndarray):
            raise UserError(
                "A given order needs images in memory or in files, and this data set is read from disk: set "
                f"in_memory = True, or sample images uniformly. Received: {self.builder.name}"
            )
        records = self._records(key).skip(skip * batch_size)
        return self._decoded(records, skip * batch_size, read).batch(batch_size, drop_remainder)

    def stream(self, batch_size, pass_key, first, batches, read=None) -> tf.data.Dataset:
        images = batches * batch_size
        passes = stream_passes(self.size, first * batch_size, images)
        records = functools.reduce(tf.data.Dataset.concatenate, [self._records(pass_key(number)) for number in passes])
        records = records.skip(first * batch_size - passes.start * self.size).take(images)
        return self._decoded(records, first * batch_size, read).batch(batch_size, drop_remainder=True)

    def _decoded(self, records, first: int, read) -> tf.data.Dataset:
        return decoded(self, records, first, read, self.builder.info.features[self.keys[0]].shape)

    def _records(self, key):
        seed = None if key is None else int(key_rng(key).integers(2**31))
        config = tfds.ReadConfig(shuffle_seed=seed, try_autocache=False)
        # Decoding is left for after the shuffle buffer, which then holds compressed images, and after `skip`.
        decoders = {self.keys[0]: tfds.decode.SkipDecoding()}
        records = self.builder.as_dataset(
            split=self.split, shuffle_files=seed is not None, read_config=config, decoders=decoders
        )
        records = records.map(lambda record: tuple(record[name] for name in self.keys))
        return records if seed is None else records.shuffle(self.shuffle_buffer, seed, reshuffle_each_iteration=False)

    def partition(self, counts, seed) -> tuple[list, list[str]]:
        """Parts of these sizes and a SHA-256 of each: of the row numbers of stratified parts, of the names of slices.

        Slices do not use `seed`: TFDS shuffles when it writes.
        """
        return self._drawn(counts, seed) if self.stratified else self._slices(counts)

    def content(self) -> dict[str, str]:
        """Name and version of the data set, and the split."""
        return {"builder": self.builder.info.full_name, "split": self.split}

    def _slices(self, counts):
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

    def _drawn(self, counts, seed):
        self._check_memory(sum(counts))
        logging.info("Reading %s twice to draw %s images class by class.", self.builder.name, counts)
        batches = self._records(None).map(lambda _, label: label).batch(1000).as_numpy_iterator()
        labels = np.concatenate(list(batches)).astype(np.int32)
        parts = index_parts(labels, counts, seed, stratified=True)
        chosen = np.sort(np.concatenate(parts))
        encoded = self._encoded(chosen)
        shape, fraction = self.image_shape, self.crop_fraction
        places = [np.searchsorted(chosen, part) for part in parts]
        sources = [EncodedSource(encoded, labels[chosen], shape, fraction, rows) for rows in places]
        return sources, [digest(part) for part in parts]

    def _encoded(self, chosen) -> tf.Tensor:
        """The encoded images with these ascending row numbers."""
        wanted = np.zeros(self.size, bool)
        wanted[chosen] = True
        with tf.device("CPU"):
            flags = tf.data.Dataset.from_tensor_slices(wanted)
            pairs = tf.data.Dataset.zip(flags, self._records(None).map(lambda image, _: image))
            images = pairs.filter(lambda flag, _: flag).map(lambda _, image: image)
            # One batch takes the strings over; tf.concat would copy them, twice the memory.
            return images.batch(len(chosen)).get_single_element()

    def _check_memory(self, images):
        splits = self.builder.info.splits
        whole = splits[tfds.core.ReadInstruction.from_spec(self.split).to_absolute(splits)[0].splitname]
        needed = whole.num_bytes / whole.num_examples * images
        if needed > self.memory_limit:
            raise UserError(
                f"Stratified parts of data read from disk are held in memory and take about {needed / 1e9:.1f} GB: "
                "take smaller parts, raise memory_limit, or set stratified = False. "
                f"Received: memory_limit={self.memory_limit:_}"
            )
