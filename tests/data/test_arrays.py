"""Data sets from arrays: what is read, and every array that cannot be."""

import hashlib

import numpy as np
import pytest

from tf_edd.data import from_arrays
from tf_edd.errors import UserError
from tf_edd.runtime.record import describe

# Two images of 1 x 2 pixels: the pixels 0, 255, 255, 255 have the mean 3/4 and the standard deviation sqrt(3)/4.
X = np.array([[[0, 255]], [[255, 255]]], np.uint8)
Y = np.array([1, 0])


def stored(images):
    ((pixels, labels),) = images.raw_batches(10).as_numpy_iterator()
    return pixels, labels


def arrays(**changes):
    """Three classes in color, four training images and two test images."""
    rng = np.random.default_rng(0)
    given = {
        "x_train": rng.integers(0, 256, (4, 3, 5, 3), np.uint8),
        "y_train": np.array([0, 2, 1, 0]),
        "x_test": rng.integers(0, 256, (2, 3, 5, 3), np.uint8),
        "y_test": np.array([2, 0]),
    }
    return {**given, **changes}


def test_what_is_stored_is_what_was_given():
    given = arrays(class_names=("cat", "dog", "owl"), name="pets")
    data = from_arrays(**given)
    assert (data.name, data.image_shape, data.num_classes) == ("pets", (3, 5, 3), 3)
    assert data.class_names == ("cat", "dog", "owl") and (data.train.size, data.test.size) == (4, 2)
    for images, part in ((data.train, "train"), (data.test, "test")):
        pixels, labels = stored(images)
        np.testing.assert_array_equal(pixels, given[f"x_{part}"])
        np.testing.assert_array_equal(labels, given[f"y_{part}"])
        assert labels.dtype == np.int32


def test_gray_images_without_an_axis_of_channels():
    data = from_arrays(X, Y, X[:1], Y[:1])
    assert data.image_shape == (1, 2, 1) and data.class_names == ("0", "1") and data.name == "arrays"
    np.testing.assert_array_equal(stored(data.train)[0], X[..., None])
    assert data.mean == (0.75,) and data.std == (pytest.approx(np.sqrt(3) / 4, rel=1e-12),)
    images, labels = next(data.test.batches(1, 0, 0).as_numpy_iterator())
    np.testing.assert_allclose(images.ravel(), [-np.sqrt(3), 1 / np.sqrt(3)], rtol=1e-6)
    assert labels.tolist() == [1]


def test_given_moments():
    data = from_arrays(X, Y, X, Y, mean=[0.5], std=[0.25])
    assert (data.mean, data.std) == ((0.5,), (0.25,))
    images, _ = next(data.train.batches(2, 0, 0, shuffle=False).as_numpy_iterator())
    assert images.ravel().tolist() == [-2, 2, 2, 2]


@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 2), (2, 1, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_labels_of_any_shape_that_is_a_row(shape, kind):
    assert stored(from_arrays(X, Y.astype(kind).reshape(shape), X, Y).train)[1].tolist() == [1, 0]


def test_one_image():
    assert from_arrays(X[:1], [[1]], X[:1], [0]).train.size == 1


def test_it_is_its_own_loader():
    data = from_arrays(X, Y, X, Y)
    assert data.load() is data and data.load(data_dir="anywhere") is data


def test_the_record_tells_data_apart():
    data = from_arrays(X, Y, X[:1], Y[:1])
    train = b"(2, 1, 2, 1)" + bytes([0, 255, 255, 255]) + bytes([1, 0, 0, 0, 0, 0, 0, 0])
    test = b"(1, 1, 2, 1)" + bytes([0, 255]) + bytes([1, 0, 0, 0])
    assert describe(data) == {
        "@": "ImageData",
        "name": "arrays",
        "image_shape": [1, 2, 1],
        "class_names": ["0", "1"],
        "train": {"images": 2, "sha256": hashlib.sha256(train).hexdigest()},
        "test": {"images": 1, "sha256": hashlib.sha256(test).hexdigest()},
        "mean": [0.75],
        "std": list(data.std),
    }
    assert describe(from_arrays(X.copy(), Y.astype(np.uint8)[:, None], X[:1], Y[:1])) == describe(data)
    others = [
        from_arrays(X[::-1], Y, X[:1], Y[:1]),
        from_arrays(X, Y[::-1], X[:1], Y[:1]),
        from_arrays(X, Y, X[1:], Y[:1]),
        from_arrays(X, Y, X[:1], Y[1:]),
    ]
    digests = [[describe(part)["sha256"] for part in (each.train, each.test)] for each in [data, *others]]
    assert len(set(map(tuple, digests))) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((4, 3, 5, 3), np.float32)}, r"x_train must hold uint8 .*255 \* x_train.*: float32"),
        ({"x_test": np.zeros((2, 3, 5, 3), np.int64)}, "x_test must hold uint8 pixels from 0 to 255. Received: int64"),
        ({"x_train": np.zeros((4, 15), np.uint8)}, r"\[N, H, W, C\] or \[N, H, W\]. Received: \[4, 15\]"),
        ({"x_train": np.zeros((0, 3, 5, 3), np.uint8)}, r"x_train must hold at least one.*\[0, 3, 5, 3\]"),
        ({"x_test": np.zeros((2, 0, 5, 3), np.uint8)}, r"x_test must hold at least one.*\[2, 0, 5, 3\]"),
        ({"x_test": np.zeros((2, 3, 4, 3), np.uint8)}, r"as x_train, \(3, 5, 3\). Received: \(3, 4, 3\)"),
        ({"x_test": np.zeros((2, 3, 5), np.uint8)}, r"as x_train, \(3, 5, 3\). Received: \(3, 5, 1\)"),
        ({"y_train": [0, 1, 2]}, "y_train must hold one label for each of the 4 images of x_train. Received: 3"),
        ({"y_test": [0, 1, 2]}, "y_test must hold one label for each of the 2 images of x_test. Received: 3"),
        ({"y_train": [0.0, 1.0, 2.0, 0.0]}, "y_train must hold integers.* Received: float64"),
        ({"y_test": [True, False]}, "y_test must hold integers.* Received: bool"),
        ({"y_train": np.eye(4, 3, dtype=int)}, r"\[N\] or \[N, 1\] \(one-hot.*argmax.* Received: \[4, 3\]"),
        ({"y_train": [0, 1, 2, -1]}, "y_train must hold labels from 0 to 2. Received: -1"),
        ({"y_test": [0, 3]}, "y_test must hold labels from 0 to 2. Received: 3"),
        ({"class_names": ("cat", "dog")}, r"class_names must hold 3 names.*label of y_train is 2. .*\('cat', 'dog'\)"),
        ({"class_names": tuple("abcd")}, "class_names must hold 3 names"),
        ({"class_names": "abc"}, "class_names must be a list of texts.* Received: class_names='abc'"),
        ({"mean": (0.5,) * 3}, "both mean and std"),
        ({"mean": (0.5,), "std": (0.5,)}, r"each of 3 channel.* Received: mean=\(0.5,\)"),
        ({"mean": (0.5,) * 3, "std": (0.5, 0.5, 0.0)}, "std must be positive"),
    ],
)
def test_arrays_that_cannot_be_used(changes, message):
    with pytest.raises(UserError, match=message):
        from_arrays(**arrays(**changes))
