"""Exports a retrained network for use without this package: raw images in, probabilities and class names out.

export/saved_model/    tf.saved_model.load(...).serve(images); signatures serving_default, serve_uint8 and labels
export/model.keras     raw images 0..255 to logits, for Keras with tf_edd installed
export/labels.txt      the class names, one per line, in the order of the outputs
export/model_card.json what the model is, its accuracy, how to use it, and how it was checked; written last
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import gin
import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.data import Data, ImageData
from tf_edd.errors import UserError, require_count
from tf_edd.runtime import environment, files
from tf_edd.runtime.strategy import current
from tf_edd.training import export_check
from tf_edd.training.evaluate import check_data, load_trained, read_results
from tf_edd.training.records import BEST

CARD = "model_card.json"
# Lines that run as they stand, in the folder of the export; `images` are raw images, float32 [B, H, W, C].
USAGE = {
    "saved_model": "import tensorflow as tf; model = tf.saved_model.load('saved_model'); "
    "class_names = model.serve(images)['class_name']",
    "keras": "import keras, tf_edd.networks.blocks, tf_edd.networks.final_network; "
    "model = keras.saving.load_model('model.keras'); logits = model(images)",
}


@gin.configurable(module="tf_edd")
def export(
    model_dir,
    *,
    data: Data,
    which: str = BEST,
    check_images: int = 10_000,
    tolerance: float = 1e-3,
    data_dir: str | None = None,
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
    results = read_results(model_dir)
    images = data.load(data_dir)
    check_data(results, images)
    folder = Path(model_dir) / "export"
    if (folder / CARD).exists() and not overwrite:
        raise UserError(f"Expected no earlier export. Received: {folder}, which is complete; --overwrite replaces it")
    network = in_float32(load_trained(model_dir, which))
    files.make_folder(folder)
    files.remove_leftovers(folder)
    (folder / CARD).unlink(missing_ok=True)  # from here on the folder is not complete
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


def raw_network(network: keras.Model, images: ImageData) -> keras.Model:
    """The network with the normalization in front: raw images [B, H, W, C], 0..255, to logits [B, classes]."""
    mean, std = np.array(images.mean), np.array(images.std)
    raw = keras.Input(images.image_shape, name="images", dtype="float32")
    rescale = keras.layers.Rescaling(
        (1 / (255 * std)).tolist(), (-mean / std).tolist(), dtype="float32", name="normalize"
    )
    return keras.Model(raw, network(rescale(raw)), name="raw_network")


def _write(folder: Path, network: keras.Model, images: ImageData) -> keras.Model:
    """Writes all but the card; returns the model in `model.keras`."""
    model = raw_network(network, images)
    saved = folder / "saved_model"
    try:
        if saved.exists():
            shutil.rmtree(saved)
        model.save(folder / "model.keras")
        _archive(model, images).write_out(str(saved), verbose=False)
    except (OSError, tf.errors.OpError) as error:
        raise files.write_error(folder, error) from error
    files.write_lines(folder / "labels.txt", images.class_names)
    return model


def _archive(model, images: ImageData) -> keras.export.ExportArchive:
    names = tf.constant(images.class_names)

    def answer(raw):
        logits = model(_checked(raw, images.image_shape), training=False)
        return {
            "probabilities": tf.nn.softmax(logits),
            "class_name": tf.gather(names, tf.argmax(logits, -1)),
            "logits": logits,
        }

    archive = keras.export.ExportArchive()
    archive.track(model)
    # The shape is free here and checked inside: one clear error, where a signature's own would list its internals.
    for name, dtype in (("serve", tf.float32), ("serve_uint8", tf.uint8)):
        signature = [tf.TensorSpec(None, dtype, name="images")]
        archive.add_endpoint(name, lambda images: answer(images), input_signature=signature)
    archive.add_endpoint("labels", lambda: {"labels": tf.identity(names)}, input_signature=[])
    return archive


def _checked(raw, image_shape):
    """The images as float32 [B, H, W, C], after a check of their shape."""
    expected = f"Expected raw images of shape [batch, {', '.join(map(str, image_shape))}]. Received shape:"
    shape = tf.shape(raw)
    sides = tf.concat([shape, [-1] * 4], 0)[1:4]  # of any rank, so that the comparison itself cannot fail
    good = tf.logical_and(tf.equal(tf.rank(raw), 4), tf.reduce_all(tf.equal(sides, image_shape)))
    with tf.control_dependencies([tf.debugging.Assert(good, [expected, shape], summarize=9)]):
        return tf.ensure_shape(tf.cast(raw, tf.float32), [None, *image_shape])


def _check(saved_model: Path, network, images: ImageData, count: int) -> dict:
    """Measures the written model in a new process against the network and the data pipeline of this one."""
    arrays = _arrays(network, images, count)
    with tempfile.TemporaryDirectory() as folder:
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
        "test_accuracy": results[which]["accuracy/test"],
        "input": {
            "name": "images",
            "shape": shape,
            "values": "raw pixels 0..255; float32 (serve) or uint8 (serve_uint8)",
        },
        "outputs": {
            "probabilities": ["batch", len(images.class_names)],
            "class_name": ["batch"],
            "logits": ["batch", len(images.class_names)],
        },
        "normalization": {"mean": list(images.mean), "std": list(images.std), "where": "inside the model"},
        "usage": USAGE,
        "reloaded": check,
        "versions": environment.describe()["versions"],
    }
