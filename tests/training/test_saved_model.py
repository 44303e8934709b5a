"""The SavedModel of small models whose answers are known; that of a network is tested with the export."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.data.images import ImageData
from tf_edd.training.saved_model import raw_network, write_saved_model

IMAGES = ImageData("two", None, None, ("none", "Straße"), (2, 3, 1), (0.25,), (0.5,))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Of a model whose logits are 1/2 and the share of pixels above 100; NaN is not, so it has a finite answer."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    raw = keras.Input((2, 3, 1))
    share = keras.ops.mean(keras.ops.where(raw > 100, 1.0, 0.0), axis=(1, 2))
    write_saved_model(folder, keras.Model(raw, keras.ops.concatenate([0 * share + 0.5, share], -1)), IMAGES)
    return folder


@pytest.fixture(scope="module")
def loaded(path):
    return tf.saved_model.load(str(path))


def images(*bright):
    """An image for each number of bright pixels."""
    return np.stack([200.0 * (np.arange(6) < count).reshape(2, 3, 1) for count in bright]).astype(np.float32)


def test_logits_probabilities_and_names(loaded):
    given = images(0, 6)
    expected = np.array([[0.5, 0], [0.5, 1]])
    for answer in (loaded.serve(given), loaded.serve_uint8(given.astype(np.uint8))):
        np.testing.assert_allclose(answer["logits"], expected)
        np.testing.assert_allclose(answer["probabilities"][:, 0], 1 / (1 + np.exp([-0.5, 0.5])), rtol=1e-6)
        assert [name.decode() for name in answer["class_name"].numpy()] == ["none", "Straße"]
    np.testing.assert_allclose(loaded.signatures["logits"](images=tf.constant(given))["logits"], expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("call", ["serve", "signature"])
def test_an_image_that_is_not_finite_has_no_class(loaded, value, call):
    given = images(0, 0, 6)
    given[1, 1, 2, 0] = value
    answer = loaded.serve(given) if call == "serve" else loaded.signatures["serve"](images=tf.constant(given))
    for name in ("probabilities", "logits"):
        np.testing.assert_array_equal(np.isnan(answer[name]), [[False, False], [True, True], [False, False]])
    assert [text.decode() for text in answer["class_name"].numpy()] == ["none", "", "Straße"]


def test_an_empty_batch_has_an_empty_answer(loaded):
    answer = loaded.serve(images(1)[:0])
    assert [answer[name].shape.as_list() for name in ("probabilities", "logits", "class_name")] == [[0, 2], [0, 2], [0]]


def test_the_model_takes_raw_pixels():
    """(x / 255 - 0.25) / 0.5, which is 2 x / 255 - 0.5."""
    normalized = keras.Input((2, 3, 1))
    network = keras.Model(normalized, keras.layers.Flatten()(normalized))
    pixels = np.array([0, 51, 102, 153, 204, 255]).reshape(1, 2, 3, 1)
    found = raw_network(network, IMAGES)(pixels)
    np.testing.assert_allclose(found, [[-0.5, -0.1, 0.3, 0.7, 1.1, 1.5]], atol=1e-6)
