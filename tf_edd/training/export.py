"""Exports a retrained network for use without this package: raw images in, probabilities and class names out.

export/saved_model/    for TensorFlow alone, and for converters to LiteRT and ONNX; see `tf_edd.training.saved_model`
export/model.keras     raw images 0..255 to logits, for Keras with tf_edd installed
export/labels.txt      the class names, one per line, in the order of the outputs
export/model_card.json what the model is, its accuracy, how to use and convert it, how it was checked; written last
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.data import Data, ImageData
from tf_edd.errors import UserError, require_count
from tf_edd.part import checked
from tf_edd.runtime import environment, files, folder_lock
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.strategy import current
from tf_edd.training import export_check
from tf_edd.training.evaluate import EVALUATION, check_data, choice, load_trained, read_results
from tf_edd.training.records import BEST
from tf_edd.training.saved_model import raw_network, write_saved_model

CARD = "model_card.json"
# Lines that run as they stand, in the folder of the export; `images` are raw images, float32 [B, H, W, C].
USAGE = {
    "saved_model": "import tensorflow as tf; model = tf.saved_model.load('saved_model'); "
    "class_names = model.serve(images)['class_name']",
    "keras": "import keras, tf_edd.networks.blocks, tf_edd.networks.final_network; "
    "model = keras.saving.load_model('model.keras'); logits = model(images)",
}
CONVERT = {
    "tflite": "import pathlib; import tensorflow as tf; "
    "converter = tf.lite.TFLiteConverter.from_saved_model('saved_model', signature_keys=['logits']); "
    "pathlib.Path('model.tflite').write_bytes(converter.convert())",
    "onnx": "python -m tf2onnx.convert --saved-model saved_model --signature_def logits --output model.onnx",
}


@checked(module="tf_edd")
def export(
    model_dir: str | os.PathLike,
    *,
    data: Data,
    which: str = BEST,
    check_images: int = 10_000,
    tolerance: float = 1e-3,
    data_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> keras.Model:
    """Writes `model_dir/export/`, reloads the SavedModel in a new process and compares; call it outside any strategy.

    Args:
        model_dir: Of the retraining.
        data: The images on which the network was trained, a loader or an `ImageData`: it gives the class names and the
            images of the check.
        which: "best" or "last" network of the retraining.
        check_images: How many test images, at most, the reloaded model is measured on.
        tolerance: Largest difference of a logit between the reloaded model and the network in this process, both in
            float32, whatever the precision of the training was.
        data_dir: Where the data set lies.
        overwrite: Replace an earlier export.

    Returns:
        The model in `model.keras`: raw images [B, H, W, C], 0..255, to logits. What it reaches is in `model_card.json`.

    Raises:
        UserError: No finished retraining, another data set, an earlier export, or a reloaded model that differs.
    """
    require_count(check_images=check_images)
    current()  # memory of a GPU is taken as it is needed: the check in a new process needs some too
    model_dir = local_folder(model_dir)
    results = read_results(model_dir)
    images = data.load(data_dir)
    check_data(results, images)
    folder = model_dir / "export"
    if (folder / CARD).exists() and not overwrite:
        raise UserError(f"Expected no earlier export. Received: {folder}, which is complete; --overwrite replaces it")
    network = in_float32(load_trained(model_dir, which))
    with folder_lock.locked(model_dir):
        files.make_folder(folder)
        files.remove_leftovers(folder)
        (folder / CARD).unlink(missing_ok=True)  # from here on the folder is not complete
        (folder / EVALUATION).unlink(missing_ok=True)  # of the earlier export
        model = _write(folder, network, images)
        check = _check(folder / "saved_model", network, images, check_images)
        if not max(check["max_logit_difference"], check["max_probability_difference"]) <= tolerance:
            raise UserError(f"Expected the reloaded model to agree within {tolerance}. Received: {check}")
        files.write_json(folder / CARD, _card(results, images, which, check))
    logging.info("Exported to %s; reloaded: accuracy %.4f", folder, check["accuracy"])
    return model


def in_float32(network: keras.Model) -> keras.Model:
    """The network with all its layers computing in float32; itself, if it was trained so.

    A served model should not depend on the kernels of low precision that its machine happens to have.
    """
    text = network.to_json()
    full = text.replace('"mixed_bfloat16"', '"float32"').replace('"mixed_float16"', '"float32"')
    if full == text:
        return network
    copy = keras.models.model_from_json(full)
    copy.set_weights(network.get_weights())
    return copy


def _write(folder: Path, network: keras.Model, images: ImageData) -> keras.Model:
    """Writes all but the card; returns the model in `model.keras`."""
    model = raw_network(network, images)
    saved = folder / "saved_model"
    try:
        if saved.exists():
            shutil.rmtree(saved)
        model.save(folder / "model.keras")
        write_saved_model(saved, model, images)
    except (OSError, tf.errors.OpError) as error:
        raise files.write_error(folder, error) from error
    files.write_lines(folder / "labels.txt", images.class_names)
    return model


def _check(saved_model: Path, network, images: ImageData, count: int) -> dict:
    """Measures the written model in a new process against the network and the data pipeline of this one."""
    arrays = _arrays(network, images, count)
    with files.temporary_folder(saved_model.resolve().parent) as folder:
        given, result = Path(folder) / "arrays.npz", Path(folder) / "result.json"
        np.savez(given, **arrays)
        # Its text, not its path: Python would put the folder of the package on the new process's path.
        program = Path(export_check.__file__).read_text(encoding="utf-8")
        command = [sys.executable, "-c", program, str(saved_model.resolve()), str(given), str(result)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"Expected {saved_model} to load in a new process. Received:\n{done.stderr[-2000:]}")
        return files.read_json(result)


def _arrays(network, images: ImageData, count: int, batch_size: int = 100) -> dict[str, np.ndarray]:
    """Raw test images, their labels, and the logits of the network on the same images as the pipeline gives them."""
    predict = tf.function(lambda x: network(x, training=False), autograph=False, reduce_retracing=True)
    batches = -(-count // batch_size)
    plain = images.test.batches(batch_size, seed=0, epoch=0, drop_remainder=False, shuffle=False).take(batches)
    raw = list(images.test.raw_batches(batch_size).take(batches).as_numpy_iterator())
    return {
        "images": np.concatenate([pixels for pixels, _ in raw])[:count],
        "labels": np.concatenate([labels for _, labels in raw])[:count],
        "logits": np.concatenate([predict(pixels).numpy() for pixels, _ in plain])[:count],
    }


def _card(results: dict, images: ImageData, which: str, check: dict) -> dict:
    shape = ["batch", *images.image_shape]
    return {
        "name": f"{results['space']} network for {images.name}",
        "genotype": results["genotype"],
        "space": results["space"],
        "parameters": results["parameters"],
        "multiply_adds": results["multiply_adds"],
        "data": images.name,
        "classes": list(images.class_names),
        "network": which,
        "trained_epochs": results["epochs"],
        **choice(results, which),
        "test_accuracy": results[which]["accuracy/test"],
        "input": {
            "name": "images",
            "shape": shape,
            "values": "raw pixels 0..255; float32 (serve, logits, model.keras) or uint8 (serve_uint8)",
            "not_finite": "serve: probabilities NaN and an empty class name for an image with NaN or infinite pixels; "
            "logits and model.keras do not check",
        },
        "outputs": {
            "probabilities": ["batch", len(images.class_names)],
            "class_name": ["batch"],
            "logits": ["batch", len(images.class_names)],
        },
        "normalization": {"mean": list(images.mean), "std": list(images.std), "where": "inside the model"},
        "usage": USAGE,
        "convert": CONVERT,
        "reloaded": check,
        "versions": environment.describe()["versions"],
    }
