"""Measures a retrained network, or an exported one, on the test split."""

import dataclasses
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.data import Data, ImageData
from tf_edd.errors import UserError, require_count, require_one_of
from tf_edd.evaluation.scorer import Scorer, Scores
from tf_edd.part import checked
from tf_edd.runtime import files
from tf_edd.runtime.file_names import RESULTS
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.strategy import is_chief, strategy_scope
from tf_edd.training.records import BEST, LAST, load_network

EVALUATION = "evaluation.json"
RECORDED = ("name", "class_names", "image_shape", "mean", "std")


@checked(module="tf_edd")
def evaluate(
    model_dir: str | os.PathLike | None = None,
    *,
    data: Data,
    which: str = BEST,
    batch_size: int = 256,
    saved_model: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
) -> dict:
    """Loss and accuracies on the test split.

    It computes under the `tf.distribute` strategy in scope, or where there is none under that of `tf_edd.configure`.

    Args:
        model_dir: Of the retraining. The result is written to `retrain/evaluation.json` (that of the model in
            `export/saved_model` to `export/evaluation.json`); without it, or for another exported model, nothing is
            written.
        data: The images on which the network was trained: a loader or an `ImageData`.
        which: "best" or "last" network of the retraining.
        batch_size: Images per batch, over all replicas; it does not change the result.
        saved_model: Folder of an exported model to measure instead of the retrained network.
        data_dir: Where the data set lies.

    Returns:
        loss, accuracy, top_5_accuracy (None with five classes or fewer), class_accuracy (name -> accuracy, None for
        a class without test images), images, data, network; of a retrained network also its epoch, by what it was
        chosen, and when the training ended.

    Raises:
        UserError: No trained network, another data set, or a folder that holds no exported model.
    """
    require_count(batch_size=batch_size)
    model_dir = None if model_dir is None else local_folder(model_dir)
    saved_model = None if saved_model is None else local_folder(saved_model, "saved_model")
    with strategy_scope():
        images = data.load(data_dir)
        images.log_notes()
        if saved_model is not None:
            scores, about = score_saved_model(saved_model, images, batch_size), {}
        elif model_dir is not None:
            results = read_results(model_dir)
            check_data(results, images)
            scores, about = score_network(load_trained(model_dir, which), images, batch_size), choice(results, which)
        else:
            raise UserError("Expected a model_dir or a saved_model to evaluate. Received: neither")
        result = {**_result(scores, images, str(saved_model) if saved_model is not None else which), **about}
        if model_dir is not None and is_chief(tf.distribute.get_strategy()):
            _write(model_dir, saved_model, result)
        return result


def _write(model_dir: Path, saved_model: Path | None, result: dict) -> None:
    """Writes the result beside what was measured, if that belongs to `model_dir`."""
    if saved_model is None:
        files.write_json(model_dir / "retrain" / EVALUATION, result)
    elif saved_model.resolve() == (model_dir / "export" / "saved_model").resolve():
        files.write_json(model_dir / "export" / EVALUATION, result)
    else:
        logging.info("Nothing is written: %s is not the export of %s", saved_model, model_dir)


def read_results(model_dir) -> dict:
    """The results of the retraining in `model_dir`.

    Raises:
        UserError: There is no finished retraining.
    """
    path = Path(model_dir) / "retrain" / RESULTS
    if not path.is_file():
        raise UserError(f"Expected the folder of a finished retraining. Received: {model_dir} ({path} is not there)")
    results = files.read_object(path)
    if missing := {"data", "epochs", *RECORDED[1:]} - results.keys():
        raise UserError(f"Expected the results of a retraining. Received: {path}, without {', '.join(sorted(missing))}")
    return results


def choice(results: dict, which: str) -> dict[str, str | int | None]:
    """The epoch of the "best" or "last" network of a retraining, by what it was chosen, and when the training ended."""
    last = which == LAST
    return {
        "epoch": results["epochs"] if last else results.get("best_epoch", results["epochs"]),
        "chosen_by": "the last epoch" if last else results.get("chosen_by"),
        "ended": results.get("ended"),
    }


def load_trained(model_dir, which: str = BEST) -> keras.Model:
    """The "best" or "last" network of a retraining: normalized images, see `tf_edd.data.normalize`, to logits.

    `model.keras` of an export holds the normalization and takes raw images.

    Raises:
        UserError: Another name, or no such network.
    """
    require_one_of((BEST, LAST), which=which)
    return load_network(Path(model_dir) / "retrain" / which)


def check_data(results: dict, images: ImageData) -> None:
    """Checks that `images` are the data on which the network was trained, with the same normalization.

    Raises:
        UserError: Another name or shape, other classes, mean or std.
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


def score_network(model: keras.Model, images: ImageData, batch_size: int) -> Scores:
    """Scores of a network on normalized test images."""
    batches = images.test.batches(batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False)
    return Scorer(lambda x: model(x, training=False), images.num_classes)(batches, batch_size)


def score_saved_model(path, images: ImageData, batch_size: int) -> Scores:
    """Scores of an exported model on raw test images.

    Raises:
        UserError: No model that `tf_edd.export` wrote, or one of other images or classes.
    """
    if not (Path(path) / "saved_model.pb").is_file():
        raise UserError(f"Expected the folder of an exported model. Received: {path} (saved_model.pb is not there)")
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, LookupError, AttributeError, tf.errors.OpError) as error:  # garbage, cut short
        raise UserError(f"Expected an intact exported model. Received: {path} ({_short(str(error))})") from error
    if "serve_uint8" not in loaded.signatures:
        raise UserError(f"Expected a model that tf_edd has exported. Received: {path} (it has no serve_uint8)")
    labels = tuple(name.decode() for name in loaded.labels()["labels"].numpy())
    if labels != images.class_names:
        raise UserError(
            f"The exported model knows the classes {_short(labels)}. Received: {_short(images.class_names)}"
        )
    try:
        scorer = Scorer(lambda x: loaded.serve_uint8(x)["logits"], images.num_classes)
        return scorer(images.test.raw_batches(batch_size), batch_size)
    except UserError:  # about the images, not the model
        raise
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
