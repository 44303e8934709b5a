"""The embedded digits."""

import numpy as np
import pytest
import sklearn.datasets
import sklearn.linear_model

from tf_edd.data import Digits
from tf_edd.errors import UserError


def _arrays(images):
    batches = list(images.raw_batches(500).as_numpy_iterator())
    return (np.concatenate(part) for part in zip(*batches, strict=True))


def test_digits_are_those_of_scikit_learn():
    data = Digits().load()
    assert data.image_shape == (8, 8, 1) and data.class_names == tuple("0123456789") and data.num_classes == 10
    train, train_labels = _arrays(data.train)
    test, test_labels = _arrays(data.test)
    pixels = np.concatenate([train, test])
    assert pixels.dtype == np.uint8 and pixels.min() == 0 and pixels.max() == 255
    source = sklearn.datasets.load_digits()
    restored = np.round(pixels[..., 0] * (16 / 255)).reshape(len(pixels), 64)
    labeled = {(image.tobytes(), label) for image, label in zip(source.data, source.target, strict=True)}
    found = zip(restored, np.concatenate([train_labels, test_labels]), strict=True)
    assert {(image.tobytes(), label) for image, label in found} == labeled
    np.testing.assert_allclose(data.mean, (train / 255).mean(), rtol=1e-9)
    np.testing.assert_allclose(data.std, (train / 255).std(), rtol=1e-9)


def test_split_is_stratified_seeded_and_apart():
    data = Digits(test_fraction=0.2, seed=3).load()
    _, train_labels = _arrays(data.train)
    test, test_labels = _arrays(data.test)
    assert data.train.size + data.test.size == 1797 == len(train_labels) + len(test_labels)
    counts = np.bincount(sklearn.datasets.load_digits().target)
    assert np.bincount(test_labels).tolist() == [round(0.2 * count) for count in counts]
    again, _ = _arrays(Digits(test_fraction=0.2, seed=3).load().test)
    other, _ = _arrays(Digits(test_fraction=0.2, seed=4).load().test)
    assert np.array_equal(test, again) and not np.array_equal(test, other)


def test_normalized_batches_can_be_learned():
    data = Digits().load()
    images, labels = next(data.train.batches(data.train.size, 0, 0).as_numpy_iterator())
    test_images, test_labels = next(data.test.batches(data.test.size, 0, 0).as_numpy_iterator())
    assert abs(images.mean()) < 1e-4 and abs(images.std() - 1) < 1e-4
    model = sklearn.linear_model.LogisticRegression(max_iter=300).fit(images.reshape(len(images), -1), labels)
    assert model.score(test_images.reshape(len(test_images), -1), test_labels) > 0.93


@pytest.mark.parametrize("bad", [{"test_fraction": 0.0}, {"test_fraction": "a fifth"}, {"seed": -1}, {"seed": 0.5}])
def test_bad_arguments(bad):
    with pytest.raises(UserError, match=f"Received: {next(iter(bad))}="):
        Digits(**bad)
