"""Measures a retrained network, or an exported one, on the test split."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import gin
import numpy as np
import tensorflow as tf

from tf_edd.data import ImageData
from tf_edd.errors import UserError
from tf_edd.evaluation.scorer import Scorer, Scores
from tf_edd.runtime import files
from tf_edd.runtime.strategy import is_chief
from tf_edd.training.records import BEST, LAST, load_network

RECORDED = ("name", "class_names", "image_shape", "mean", "std")


@gin.configurable(module="tf_edd")
def evaluate(
    model_dir=None,
    *,
    data: Callable = gin.REQUIRED,
    which: str = BEST,
    batch_size: int = 256,
    saved_model=None,
    data_dir: str | None = None,
) -> dict:
    """Loss and accuracies on the test split, under the `tf.distribute` strategy in scope.

    Args:
        model_dir: of the retraining. The result is written to `retrain/evaluation.json` (an exported model's to
            `export/evaluation.json`); without it nothing is written.
        data: loader, called with `data_dir`; it must give the data set that the network was trained on.
        which: "best" or "last" network of the retraining.
        batch_size: images a batch, over all replicas; it does not change the result.
        saved_model: folder of an exported model to measure in place of the retrained network.
        data_dir: where the data set lies.

    Returns:
        loss, accuracy, top_5_accuracy (None with five classes or fewer), class_accuracy (name -> accuracy, None for
        a class without test images), images, data, network.

    Raises:
        UserError: no trained network, another data set, or a folder that holds no exported model.
    """
    images = data(data_dir=data_dir)
    if saved_model is not None:
        scores = score_saved_model(saved_model, images, batch_size)
    elif model_dir is not None:
        check_data(read_results(model_dir), images)
        scores = score_network(load_trained(model_dir, which), images, batch_size)
    else:
        raise UserError("Expected a model_dir or a saved_model to evaluate. Received: none")
    result = _result(scores, images, str(saved_model) if saved_model is not None else which)
    if model_dir is not None and is_chief(tf.distribute.get_strategy()):
        phase = "export" if saved_model is not None else "retrain"
        files.write_json(Path(model_dir) / phase / "evaluation.json", result)
    return result


def read_results(model_dir) -> dict:
    """What the retraining in `model_dir` has written.

    Raises:
        UserError: there is no finished retraining.
    """
    path = Path(model_dir) / "retrain" / "results.json"
    if not path.is_file():
        raise UserError(f"Expected the folder of a finished retraining. Received: {model_dir} ({path} is not there)")
    return files.read_json(path)


def load_trained(model_dir, which: str = BEST):
    """The "best" or "last" network of a retraining.

    Raises:
        UserError: another name, or no such network.
    """
    if which not in (BEST, LAST):
        raise UserError(f"which must be {BEST!r} or {LAST!r}. Received: which={which!r}")
    return load_network(Path(model_dir) / "retrain" / which)


def check_data(results: dict, images: ImageData) -> None:
    """Checks that `images` are the data that the network was trained on, normalised alike.

    Raises:
        UserError: another name, shape, other classes, mean or std.
    """
    trained = {"name": results["data"], **{name: results[name] for name in RECORDED[1:]}}
    for name in RECORDED:
        given = getattr(images, name)
        expected = tuple(trained[name]) if isinstance(given, tuple) else trained[name]
        same = (
            np.allclose(given, expected)
            if name in ("mean", "std") and len(given) == len(expected)
            else given == expected
        )
        if not same:
            raise UserError(
                f"The network was trained on the data set {results['data']!r}, whose {name} is {_short(expected)}. "
                f"Received: {_short(given)} (data set {images.name!r})"
            )


def score_network(model, images: ImageData, batch_size: int) -> Scores:
    """Scores of a network on normalised test images."""
    batches = images.test.batches(batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False)
    return Scorer(lambda x: model(x, training=False), images.num_classes)(batches, batch_size)


def score_saved_model(path, images: ImageData, batch_size: int) -> Scores:
    """Scores of an exported model on raw test images.

    Raises:
        UserError: no model that `tf_edd.training.export` wrote, or one of other images or classes.
    """
    if not (Path(path) / "saved_model.pb").is_file():
        raise UserError(f"Expected the folder of an exported model. Received: {path} (saved_model.pb is not there)")
    loaded = tf.saved_model.load(str(path))
    if not hasattr(loaded, "serve_uint8"):
        raise UserError(f"Expected a model that tf_edd has exported. Received: {path} (it has no serve_uint8)")
    labels = tuple(name.decode() for name in loaded.labels()["labels"].numpy())
    if labels != images.class_names:
        raise UserError(
            f"The exported model knows the classes {_short(labels)}. Received: {_short(images.class_names)}"
        )
    try:
        scorer = Scorer(lambda x: loaded.serve_uint8(x)["logits"], images.num_classes)
        return scorer(images.test.raw_batches(batch_size), batch_size)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        raise UserError(f"{path} cannot take images of shape {images.image_shape}. Received: {error}") from error


def _result(scores: Scores, images: ImageData, network: str) -> dict:
    by_class = [None if np.isnan(value) else value for value in scores.class_accuracy]
    return {
        **dataclasses.asdict(scores),
        "class_accuracy": dict(zip(images.class_names, by_class, strict=True)),
        "data": images.name,
        "network": network,
    }


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
