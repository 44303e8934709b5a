"""Images and labels from arrays in memory."""

from collections.abc import Sequence

import numpy as np

from tf_edd.data.images import ImageData
from tf_edd.data.normalization import given_moments, measure
from tf_edd.data.sources import ArraySource
from tf_edd.errors import UserError
from tf_edd.part import checked


@checked()
def from_arrays(
    x_train,
    y_train,
    x_test,
    y_test,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ImageData:
    """A data set from arrays, for instance those of `keras.datasets`.

    Args:
        x_train: Training images, uint8 [N, H, W, C], or [N, H, W] for one channel.
        y_train: Their labels, integers from 0, [N] or [N, 1].
        x_test: Test images of the same size and number of channels.
        y_test: Their labels.
        class_names: One name per class, in the order of the labels; None names the classes "0", "1", ... up to the
            largest label of the training images.
        name: Name of the data set, for records and reports.
        mean: Mean of each channel, for pixels in [0, 1]; None measures it on the training images.
        std: The same for the standard deviation; give both or none.

    Raises:
        UserError: arrays of another type or shape, without images, of different lengths or sizes, or labels without a
            class.
    """
    x_train, x_test = _pixels("x_train", x_train), _pixels("x_test", x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UserError(
            f"x_test must hold images of the same shape as x_train, {x_train.shape[1:]}. Received: {x_test.shape[1:]}"
        )
    y_train, y_test = _labels("y_train", y_train, len(x_train)), _labels("y_test", y_test, len(x_test))
    names = _class_names(class_names, max(int(y_train.max()), 0) + 1)
    y_train, y_test = (_in_range(key, labels, len(names)) for key, labels in (("y_train", y_train), ("y_test", y_test)))
    given = given_moments(mean, std, x_train.shape[-1])
    train, test = ArraySource(x_train, y_train), ArraySource(x_test, y_test)
    moments = given or measure(train.batches(1000))
    return ImageData.from_sources(name, train, test, names, moments)


def _pixels(name: str, images) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8:
        floats = f" (floats in [0, 1]: np.round(255 * {name}).astype(np.uint8))" if images.dtype.kind == "f" else ""
        raise UserError(f"{name} must hold uint8 pixels from 0 to 255{floats}. Received: {images.dtype}")
    if images.ndim not in (3, 4):
        raise UserError(f"{name} must have the shape [N, H, W, C] or [N, H, W]. Received: {list(images.shape)}")
    if not images.size:
        raise UserError(f"{name} must hold at least one image with pixels. Received: shape {list(images.shape)}")
    return images if images.ndim == 4 else images[..., None]


def _labels(name: str, labels, count: int) -> np.ndarray:
    """The labels [N], of as many images, with their own integer type."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise UserError(f"{name} must hold integers, the class of each image. Received: {labels.dtype}")
    flat = np.atleast_1d(np.squeeze(labels))
    if flat.ndim != 1:
        one_hot = f" (one-hot labels: np.argmax({name}, axis=-1))" if labels.ndim == 2 else ""
        raise UserError(f"{name} must have the shape [N] or [N, 1]{one_hot}. Received: {list(labels.shape)}")
    if len(flat) != count:
        images = name.replace("y", "x", 1)
        raise UserError(f"{name} must hold one label for each of the {count} images of {images}. Received: {len(flat)}")
    return flat


def _in_range(name: str, labels: np.ndarray, classes: int) -> np.ndarray:
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise UserError(f"{name} must hold labels from 0 to {classes - 1}. Received: {wrong[0]}")
    return labels.astype(np.int32)


def _class_names(names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    if names is None:
        return tuple(map(str, range(classes)))
    if isinstance(names, str) or len(names) != classes:
        raise UserError(
            f"class_names must hold {classes} names, one per class: the largest label of y_train is {classes - 1}. "
            f"Received: {names!r}"
        )
    return tuple(map(str, names))
