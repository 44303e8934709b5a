"""Images in batches, and data sets."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.data.augmentation import Augmentation, as_augmentations, augment_and_normalize
from tf_edd.data.class_names import check_class_names
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import PARALLEL_CALLS, Source
from tf_edd.errors import UserError
from tf_edd.runtime.record import KIND

_STREAMED = 2**31 - 1  # the epoch of a stream in the seed of its augmentation: no search has so many
_MOST_CLASSES = 20  # classes that are named in a dry run


class Images:
    """Labeled images that come in reproducible batches.

    Args:
        source: Where the raw images come from.
        moments: Mean and standard deviation for the normalization.
        stream: Number that separates the random numbers of images of one data set that are used side by side.
        size: (height, width) to which normalized images are scaled, each pixel the mean of the area that it covers;
            None leaves them as they are stored.
    """

    def __init__(self, source: Source, moments: Moments, stream: int = 0, size: tuple[int, int] | None = None):
        self._source = source
        self._moments = moments
        self._stream = stream
        self._scaled_size = size
        self._finishers = {}
        self._content = None

    @property
    def size(self) -> int:
        """Number of images."""
        return self._source.size

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images in batches."""
        height, width, channels = self._source.image_shape
        return (*(self._scaled_size or (height, width)), channels)

    def class_counts(self, classes: int) -> list[int] | None:
        """Images of each class; None for images whose labels are known only when they are read."""
        labels = self._source.known_labels
        return None if labels is None else np.bincount(labels, minlength=classes).tolist()

    def describe(self) -> dict:
        """What tells these images from others, see `Source.content`; it is found out once."""
        self._content = self._content or {"images": self.size, **self._source.content()}
        return dict(self._content)

    def num_batches(self, batch_size: int, drop_remainder: bool = True) -> int:
        """Batches per epoch."""
        return self.size // batch_size if drop_remainder else -(-self.size // batch_size)

    def left_out(self, batch_size: int) -> str:
        """How many images an epoch of whole batches leaves out, for people; empty for a tenth of them or fewer."""
        left = self.size % batch_size
        if 10 * left <= self.size:
            return ""
        return f"{left:,} of {self.size:,} images are left out in each epoch (batch_size={batch_size})"

    def raw_batches(self, batch_size: int) -> tf.data.Dataset:
        """All images as stored: (uint8 [B, H, W, C], int32 [B]); the last batch may be smaller."""
        _check_batch_size(batch_size)
        return self._source.batches(batch_size).with_options(_options())

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        skip: int = 0,
        augment: Sequence[Augmentation] | None = None,
        drop_remainder: bool = True,
        shuffle: bool = True,
        order: np.ndarray | None = None,
    ) -> tf.data.Dataset:
        """One epoch of normalized batches; batch b is a pure function of the arguments and of b.

        Args:
            batch_size: Images per batch, over all replicas.
            seed: Seed of the order and of the augmentation.
            epoch: Number of the epoch; each has its own order and augmentation.
            skip: Number of batches to leave out at the start; the others are bit-identical to those without `skip`.
            augment: Augmentations, or functions `(images, seed) -> images`, see `tf_edd.data.augmentation`. Those with
                `takes_decoded` come first where the source decodes its images one by one.
            drop_remainder: Whether to leave out the last batch if it is smaller.
            shuffle: Whether to shuffle; False gives the stored order.
            order: Positions in stored order, possibly repeated, that take the place of a random order.

        Returns:
            A dataset of (float32 [B, H, W, C], int32 labels [B]).

        Raises:
            UserError: an empty batch, a negative number, fewer images than one batch with drop_remainder and no order,
                something that is not an augmentation, or images that an augmentation cannot treat.
        """
        self._check(batch_size, drop_remainder and order is None, seed=seed, epoch=epoch, skip=skip)
        key = (seed, epoch, self._stream)
        sequence = order if order is not None else key if shuffle else None

        def raw(**options):
            return self._source.batches(batch_size, sequence, skip, drop_remainder, **options)

        return self._finished(raw, key, skip, augment)

    def stream(
        self,
        batch_size: int,
        seed: int,
        first: int,
        steps: int,
        augment: Sequence[Augmentation] | None = None,
    ) -> tf.data.Dataset:
        """Normalized batches of an endless sequence, pass after pass over the images, each in a random order.

        No image is left out: a batch may hold images of two passes, and of more where it is larger than the data. Batch
        b is a pure function of batch size, seed, augmentations and b.

        Args:
            batch_size: Images per batch, over all replicas.
            seed: Seed of the orders and of the augmentation.
            first: Number of the first batch, from 0.
            steps: How many batches.
            augment: See `batches`.

        Returns:
            A dataset of (float32 [B, H, W, C], int32 labels [B]).

        Raises:
            UserError: See `batches`.
        """
        self._check(batch_size, drop_remainder=False, seed=seed, first=first)

        def raw(**options):
            return self._source.stream(batch_size, lambda number: (seed, number, self._stream), first, steps, **options)

        return self._finished(raw, (seed, _STREAMED, self._stream), first, augment)

    def _finished(self, raw, key, first: int, augment) -> tf.data.Dataset:
        """The batches that `raw` makes, augmented and normalized.

        Args:
            raw: `read=...` of the source, if any -> raw batches.
            key: Seeds the augmentation.
            first: Number of the first batch.
            augment: See `batches`.
        """
        words = tf.constant(key, tf.int64)
        readers, augmentations = self._divide(as_augmentations(augment))
        options = {"read": self._reader(readers, words)} if readers else {}
        finish = self._finisher(augmentations)
        finished = (
            raw(**options)
            .enumerate(first)
            .map(lambda index, batch: finish(index, *batch, words), PARALLEL_CALLS, deterministic=True)
        )
        return finished.prefetch(4).with_options(_options())

    def _divide(self, augmentations):
        """The augmentations of single decoded images, and those of batches."""
        for augmentation in augmentations:
            augmentation.check(self._source.image_shape)
        readers = [a for a in augmentations if self._source.decodes and a.takes_decoded]
        return readers, tuple(a for a in augmentations if a not in readers)

    def _reader(self, readers, key):
        """What a source does with a decoded image; the random numbers depend on the image's position in the epoch."""

        def read(image, position):
            # Batches fold in their number, which is never negative, so no two streams coincide.
            seed = tf.random.fold_in(tf.random.fold_in(_words(key), -1), position)
            for place, augmentation in enumerate(readers):
                image = augmentation.from_decoded(image, tf.random.fold_in(seed, place), self._source.image_shape)
            return image

        return read

    def _finisher(self, augmentations):
        """What makes a batch of a raw one, traced once for each list of augmentations, not in each epoch."""
        if augmentations not in self._finishers:

            def finish(index, images, labels, key):
                seed = tf.random.fold_in(_words(key), index)
                images = augment_and_normalize(images, seed, augmentations, self._moments)
                return self._scaled(images), labels

            self._finishers[augmentations] = tf.function(finish, autograph=False)
        return self._finishers[augmentations]

    def _scaled(self, images):
        if self._scaled_size is None:
            return images
        return tf.image.resize(images, self._scaled_size, tf.image.ResizeMethod.AREA)

    def _check(self, batch_size, drop_remainder, **numbers):
        _check_batch_size(batch_size)
        for name, value in numbers.items():
            if value < 0:
                raise UserError(f"{name} must not be negative. Received: {value}")
        if drop_remainder and batch_size > self.size:
            raise UserError(
                f"The batch must not be larger than the data ({self.size} images). Received: batch_size={batch_size}"
            )

    def reshuffled(self) -> "Images":
        """The same images with an order and augmentation of their own."""
        return Images(self._source, self._moments, 2 * self._stream + 1, self._scaled_size)

    def scaled_down(self, longer_side: int) -> "Images":
        """The same images, scaled after augmentation until the longer side has so many pixels; smaller ones stay."""
        height, width, _ = self._source.image_shape
        factor = longer_side / max(height, width)
        if factor >= 1:
            return self
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        return Images(self._source, self._moments, self._stream, size)

    def partition(self, counts: Sequence[int], seed: int) -> tuple[list["Images"], list[str]]:
        """Disjoint parts of these sizes with their own random streams, and a SHA-256 of each; see `split`."""
        sources, digests = self._source.partition(counts, seed)
        first = 2 * self._stream + 1
        parts = [
            Images(source, self._moments, first + number, self._scaled_size) for number, source in enumerate(sources)
        ]
        return parts, digests


def _check_batch_size(batch_size):
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: batch_size={batch_size}")


def _words(key):
    """The seed of an epoch from (seed, epoch, stream)."""
    return tf.random.fold_in(key[:2], key[2])


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # The thread of autotune sleeps for up to a minute at a time, and deleting an iterator waits for it.
    options.autotune.enabled = False
    return options


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A data set for image classification.

    Attributes:
        name: Name of the data set.
        train: Training images, to be divided by `split` for a search.
        test: Test images.
        class_names: One name per class, in the order of the labels.
        image_shape: (H, W, C).
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, for pixels in [0, 1].
        notes: What a loader has to say about its files, for people; not in the record of a run.

    Raises:
        UserError: A class name that is not one line of UTF-8, or one that occurs twice.
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        check_class_names(self.class_names)

    @classmethod
    def from_sources(cls, name: str, train: Source, test: Source, class_names, moments: Moments) -> "ImageData":
        """The data set of two sources."""
        images = [Images(source, moments) for source in (train, test)]
        return cls(name, *images, tuple(class_names), tuple(train.image_shape), moments.mean, moments.std)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def load(self, data_dir: str | None = None) -> "ImageData":
        """Itself: see `Data`."""
        return self

    def scaled_down(self, longer_side: int) -> "ImageData":
        """The same data set with images of at most so many pixels a side, see `Images.scaled_down`."""
        train, test = (images.scaled_down(longer_side) for images in (self.train, self.test))
        return dataclasses.replace(self, train=train, test=test, image_shape=train.image_shape)

    def facts(self) -> dict[str, str]:
        """What a dry run tells of the images: classes with their training images, test images, notes of the loader."""
        counts = self.train.class_counts(self.num_classes)
        texts = [f"{n}: {c:,}" for n, c in zip(self.class_names, counts, strict=True)] if counts else self.class_names
        more = f", and {len(texts) - _MOST_CLASSES} more classes" if len(texts) > _MOST_CLASSES else ""
        classes = ", ".join(texts[:_MOST_CLASSES]) + more + (" (training images)" if counts else "")
        rows = {"classes": classes, "test images": f"{self.test.size:,}"}
        return {**rows, **({"files": "\n".join(self.notes)} if self.notes else {})}

    def log_notes(self) -> None:
        """Logs each note once: the programs of a pipeline load the same data one after the other."""
        for note in self.notes:
            _log_once(f"{self.name}: {note}")

    def describe(self) -> dict:
        """What identifies the data in the record of a run, see `tf_edd.runtime.record`."""
        return {
            KIND: type(self).__name__,
            "name": self.name,
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
            "train": self.train.describe(),
            "test": self.test.describe(),
            "mean": list(self.mean),
            "std": list(self.std),
        }


@functools.cache
def _log_once(text: str) -> None:
    logging.info(text)


class Data(Protocol):
    """What programs take as data: a loader such as `Digits()`, or an `ImageData`."""

    def load(self, data_dir: str | None = None) -> ImageData:
        """The data set.

        Args:
            data_dir: Folder that holds data sets; loaders that need none ignore it.
        """
