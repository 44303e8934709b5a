"""Measures an exported model in a process of its own, which knows TensorFlow and NumPy and nothing of tf_edd.

    python -c "$(cat export_check.py)" SAVED_MODEL ARRAYS.npz RESULT.json

The arrays: images (uint8 [N, H, W, C], raw), labels [N], logits [N, classes] (of the network in the process that
exported it). This file must not import tf_edd: it stands for the program that will use the model.
"""

import json
import sys

import numpy as np
import tensorflow as tf


def measure(saved_model: str, arrays: dict, batch_size: int = 100) -> dict:
    """Largest differences from the given logits and their softmax, and the accuracy, of the reloaded model.

    Every second batch goes through the float signature, so that both are measured; the last may be smaller. The first
    also goes through the signature for converters, of the model loaded again.
    """
    loaded = tf.saved_model.load(saved_model)
    logits, probabilities, names = [], [], []
    for start in range(0, len(arrays["images"]), batch_size):
        images = tf.constant(arrays["images"][start : start + batch_size])
        if start // batch_size % 2:
            result = loaded.signatures["serving_default"](images=tf.cast(images, tf.float32))
        else:
            result = loaded.serve_uint8(images)
        logits.append(result["logits"].numpy())
        probabilities.append(result["probabilities"].numpy())
        names.append(result["class_name"].numpy())
    logits, probabilities, names = map(np.concatenate, (logits, probabilities, names))
    expected = arrays["logits"].astype(np.float64)
    first = tf.constant(arrays["images"][:batch_size], tf.float32)
    again = tf.saved_model.load(saved_model)  # the noise of space S4 counts its calls, from those of the saved network
    plain = again.signatures["logits"](images=first)["logits"].numpy()
    differences = np.abs(logits - expected).max(), np.abs(plain - expected[:batch_size]).max()
    exponentials = np.exp(expected - expected.max(-1, keepdims=True))
    labels = loaded.labels()["labels"].numpy()
    return {
        "max_logit_difference": float(np.max(differences)),
        "max_probability_difference": float(
            np.abs(probabilities - exponentials / exponentials.sum(-1, keepdims=True)).max()
        ),
        "accuracy": float(np.mean(names == labels[arrays["labels"]])),
        "images": len(logits),
        "imported_tf_edd": any(name.split(".")[0] == "tf_edd" for name in sys.modules),
    }


def main() -> None:
    """Reads the arguments and writes the result as JSON."""
    saved_model, arrays, result = sys.argv[1:]
    with np.load(arrays) as loaded, open(result, "w", encoding="utf-8") as file:
        json.dump(measure(saved_model, dict(loaded)), file)


if __name__ == "__main__":
    main()
