"""Image-classification data sets of TensorFlow Datasets, by name."""

import difflib
import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tf_edd.data.decoding import check_resize
from tf_edd.data.images import ImageData
from tf_edd.data.normalization import KNOWN_MOMENTS, Moments, given_moments, measure
from tf_edd.data.sources import check_memory, fits_memory, to_memory
from tf_edd.data.stratified import check_fraction
from tf_edd.data.tfds_source import TfdsSource
from tf_edd.errors import UserError
from tf_edd.part import part


@part(module="tf_edd.data")
class TfdsImages:
    """A TFDS data set with one image and one class label per example; shape and classes come from its DatasetInfo.

    Attributes:
        name: Name in TFDS, for instance "cifar10", "cifar10:3.0.2" (a version) or "cifar10_corrupted/fog_1".
        image_size: (height, width) of the result; needed if the images of the data set differ in size.
        crop_fraction: Share of the scaled image that is kept along its tighter side, in (0, 1].
        train_split: A TFDS split or slice.
        test_split: The same, disjoint from `train_split`; None holds out the last `test_fraction` of `train_split`.
        test_fraction: See `test_split`; in (0, 1).
        in_memory: True, False (read from disk in each epoch), or "auto": True up to `memory_limit` bytes of pixels.
        memory_limit: Bytes, see `in_memory` and `stratified`.
        stratified: Whether the parts of a search are drawn class by class, with the same share of each. Parts of data
            on disk are then read once and held in memory as they are stored, up to `memory_limit` bytes.
        download: Whether to download and prepare the data if that was not done before.
        manual_dir: Folder of the files that TFDS cannot download itself; None is TFDS' default.
        mean: Mean of each channel, for pixels in [0, 1]; None takes the published constant or measures it on
            `train_split`.
        std: The same for the standard deviation; give both or none.

    Raises:
        UserError: a value that is not possible.
    """

    name: str
    image_size: tuple[int, int] | None = None
    crop_fraction: float = 1.0
    train_split: str = "train"
    test_split: str | None = "test"
    test_fraction: float = 0.2
    in_memory: bool | str = "auto"
    memory_limit: int = 4 * 10**9
    stratified: bool = False
    download: bool = False
    manual_dir: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self):
        check_resize(self.image_size, self.crop_fraction)
        check_memory(self.in_memory, self.memory_limit)
        for name in ("image_size", "mean", "std"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        given_moments(self.mean, self.std, len(self.mean or ()))
        check_fraction(self.test_fraction)
        if self.test_split is None and ("[" in self.train_split or "+" in self.train_split):
            raise UserError(
                "Without a test split, train_split must be a whole split. "
                f"Received: train_split={self.train_split!r}, test_split=None"
            )

    def load(self, data_dir: str | None = None) -> ImageData:
        """The prepared data set.

        Args:
            data_dir: Where TFDS keeps prepared data; None is TFDS' default.

        Raises:
            UserError: an unknown or unprepared data set, an unknown split, other features, or images of different
                sizes without `image_size`.
        """
        builder = _prepared_builder(self.name, data_dir, self.download, self.manual_dir)
        keys = _feature_keys(builder)
        shape = _image_shape(builder, keys[0], self.image_size)
        given = given_moments(self.mean, self.std, shape[-1])
        splits = _splits(builder, self.train_split, self.test_split, self.test_fraction)
        options = {"stratified": self.stratified, "memory_limit": self.memory_limit}
        sources = [TfdsSource(builder, text, keys, shape, self.crop_fraction, **options) for text in splits]
        if fits_memory(sources, self.in_memory, self.memory_limit):
            sources = [to_memory(source) for source in sources]
        moments = given or _moments(builder.name, shape, sources[0])
        return ImageData.from_sources(self.name, *sources, builder.info.features[keys[1]].names, moments)


def _prepared_builder(name, data_dir, download, manual_dir):
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        return builder
    if not download:
        root = os.path.expanduser(data_dir) if data_dir else tfds.core.constants.DATA_DIR
        own = " --imports=tf_edd.data" if type(builder).__module__.startswith("tf_edd.") else ""
        raise UserError(
            f"The data set {name!r} must be prepared before it is used: run `tfds build {name} --data_dir={root}{own}` "
            f'or pass --gin_param="TfdsImages.download = True". Received: data_dir={root!r}, which does not hold it'
        )
    logging.info("Preparing %s in %s.", name, builder.data_dir)
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    except AssertionError as error:  # from TFDS, if the folder of manual downloads is missing or empty
        raise UserError(
            f"{name!r} is made from files that TFDS does not download; TfdsImages.manual_dir is their folder. "
            f"Received: manual_dir={manual_dir!r} ({error})"
        ) from error
    return builder


def _builder(name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.split("/")[0], known, n=5, cutoff=0.5)
        raise UserError(
            f"Expected the name of a TFDS data set{', for instance ' if near else ''}{', '.join(near)}. "
            f"Received: {name!r}"
        ) from error
    except (ValueError, AssertionError, ImportError, tf.errors.OpError) as error:  # Assertion: an unknown version
        raise UserError(f"TFDS cannot open the data set. Received: {name!r} ({str(error).splitlines()[0]})") from error


def _feature_keys(builder) -> tuple[str, str]:
    """Names of the image and of the label: those for supervised learning, else the only ones of their types."""
    features, supervised = builder.info.features, builder.info.supervised_keys or ()
    keys = []
    for kind in (tfds.features.Image, tfds.features.ClassLabel):
        found = [key for key, feature in features.items() if isinstance(feature, kind)]
        preferred = [key for key in found if key in supervised] or found
        if len(preferred) != 1:
            raise UserError(
                f"Expected examples with one Image and one ClassLabel. Received: {builder.name!r} with {features}"
            )
        keys += preferred
    if features[keys[0]].np_dtype != np.uint8:
        raise UserError(f"Expected uint8 images. Received: {builder.name!r} with {features[keys[0]].np_dtype}")
    return tuple(keys)


def _image_shape(builder, key, image_size) -> tuple[int, int, int]:
    height, width, channels = builder.info.features[key].shape
    size = tuple(image_size) if image_size else (height, width)
    if None in size:
        raise UserError(
            f"The images of {builder.name!r} differ in size: set TfdsImages.image_size = (height, width). "
            f"Received: image_size={image_size}"
        )
    return (*size, channels)


def _splits(builder, train_split, test_split, test_fraction) -> tuple[str, str]:
    for text in (train_split, test_split or train_split):
        _check_split(builder, text)
    if test_split is not None:
        return train_split, test_split
    edge = round((1 - test_fraction) * builder.info.splits[train_split].num_examples)
    return f"{train_split}[:{edge}]", f"{train_split}[{edge}:]"


def _check_split(builder, text):
    try:
        empty = builder.info.splits[text].num_examples == 0
    except (KeyError, ValueError, AssertionError) as error:
        raise _split_error(builder, text) from error
    if empty:
        raise _split_error(builder, text)


def _split_error(builder, text) -> UserError:
    known = ", ".join(f"{name} ({info.num_examples} examples)" for name, info in builder.info.splits.items())
    return UserError(f"Expected a non-empty split of {builder.name!r}: {known}. Received: {text!r}")


def _moments(name, shape, source) -> Moments:
    """The published moments, if they have as many channels as the images, or those of the source."""
    known = KNOWN_MOMENTS.get(name)
    return known if known and len(known.mean) == shape[-1] else measure(source.batches(1000))
