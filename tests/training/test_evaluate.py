"""Evaluation: numbers from the network's own outputs, any batch size, and data sets that do not belong to it."""

import dataclasses

import keras
import numpy as np
import pytest

from tf_edd.data import Digits
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.training.evaluate import check_data, evaluate, read_results


def outputs(folder, which):
    """Logits and labels of all test images, normalized here by hand."""
    data = Digits().load()
    pixels, labels = next(data.test.raw_batches(1000).as_numpy_iterator())
    images = (pixels / 255 - data.mean) / data.std
    model = keras.saving.load_model(folder / "retrain" / which / "model.keras")
    return model.predict(images.astype(np.float32), verbose=0).astype(np.float64), labels


@pytest.mark.parametrize(("which", "batch_size"), [("best", 256), ("last", 50)])
def test_measures_all_test_images(retrained_dir, which, batch_size):
    result = evaluate(retrained_dir, data=Digits(), which=which, batch_size=batch_size)
    logits, labels = outputs(retrained_dir, which)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert result["images"] == len(labels) and result["network"] == which
    np.testing.assert_allclose(result["loss"], -log_probs[np.arange(len(labels)), labels].mean(), rtol=1e-4)
    np.testing.assert_allclose(result["accuracy"], (logits.argmax(-1) == labels).mean())
    np.testing.assert_allclose(result["class_accuracy"]["3"], (logits.argmax(-1) == labels)[labels == 3].mean())
    assert files.read_json(retrained_dir / "retrain" / "evaluation.json") == result


def test_agrees_with_the_curves(retrained_dir):
    last = read_results(retrained_dir)["last"]
    assert evaluate(retrained_dir, data=Digits(), which="last")["accuracy"] == pytest.approx(last["accuracy/test"])


def test_another_data_set_is_refused(retrained_dir):
    results, data = read_results(retrained_dir), Digits().load()
    check_data(results, data)
    for change in ({"name": "other"}, {"mean": (0.1,)}, {"class_names": ("a", "b")}, {"image_shape": (9, 9, 1)}):
        with pytest.raises(UserError, match=f"{next(iter(change))}.*Received"):
            check_data(results, dataclasses.replace(data, **change))


def test_refuses_what_is_not_there(retrained_dir, tmp_path):
    with pytest.raises(UserError, match="finished retraining"):
        evaluate(tmp_path, data=Digits())
    with pytest.raises(UserError, match="'best', 'last'"):
        evaluate(retrained_dir, data=Digits(), which="worst")
    with pytest.raises(UserError, match="saved_model.pb"):
        evaluate(data=Digits(), saved_model=tmp_path)
    with pytest.raises(UserError, match="model_dir or a saved_model"):
        evaluate(data=Digits())


def test_a_broken_network_is_one_error(retrained_dir, tmp_path):
    (tmp_path / "retrain" / "best").mkdir(parents=True)
    (tmp_path / "retrain" / "results.json").write_text((retrained_dir / "retrain" / "results.json").read_text())
    with pytest.raises(UserError, match="no such file"):
        evaluate(tmp_path, data=Digits())
    (tmp_path / "retrain" / "best" / "model.keras").write_bytes(b"PK truncated")
    with pytest.raises(UserError, match="Expected a network"):
        evaluate(tmp_path, data=Digits())
