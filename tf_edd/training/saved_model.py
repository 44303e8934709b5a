"""A network as a SavedModel: raw images in, probabilities and class names out, and a signature for converters.

    model = tf.saved_model.load(path)
    model.serve(images), model.serve_uint8(images), model.labels()

Signatures: serving_default and serve (float32), serve_uint8, labels, and `logits`: float32 [batch, H, W, C] to logits
alone, without strings and checks, which the converters of LiteRT and ONNX take.
"""

import keras
import numpy as np
import tensorflow as tf

from tf_edd.data import ImageData


def raw_network(network: keras.Model, images: ImageData) -> keras.Model:
    """The network with the normalization in front: raw images [B, H, W, C], 0..255, to logits [B, classes]."""
    mean, std = np.array(images.mean), np.array(images.std)
    raw = keras.Input(images.image_shape, name="images", dtype="float32")
    rescale = keras.layers.Rescaling(
        (1 / (255 * std)).tolist(), (-mean / std).tolist(), dtype="float32", name="normalize"
    )
    return keras.Model(raw, network(rescale(raw)), name="raw_network")


def write_saved_model(path, model: keras.Model, images: ImageData) -> None:
    """Writes a SavedModel that answers as `model` does.

    Args:
        path: Folder to write.
        model: Raw images to logits, see `raw_network`.
        images: Gives the shape of the images and the names of the classes.
    """
    module = tf.Module()
    # TensorFlow's variables: those of Keras around them would be saved as ones that converters do not freeze.
    module.kept = [variable.value for variable in model.variables]
    names = tf.constant(images.class_names)
    signatures = {}
    for name, dtype in (("serve", tf.float32), ("serve_uint8", tf.uint8)):
        # As a function it takes any shape and checks it inside: one clear error, where TensorFlow's own would print all
        # pixels. Its signature tells the shape; TensorFlow does not check it there, so the same check holds for both.
        function = _function(lambda raw: _answer(model, raw, images.image_shape, names), None, dtype)
        setattr(module, name, function)
        signatures[name] = _function(function, [None, *images.image_shape], dtype)
    module.labels = tf.function(lambda: {"labels": tf.identity(names)}, input_signature=[], autograph=False)
    plain = _function(lambda raw: {"logits": model(raw, training=False)}, [None, *images.image_shape], tf.float32)
    signatures |= {"serving_default": signatures["serve"], "labels": module.labels, "logits": plain}
    tf.saved_model.save(module, str(path), signatures=signatures)


def _function(call, shape, dtype):
    def function(images):
        return call(images)

    return tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name="images")], autograph=False)


def _answer(model, raw, image_shape, names) -> dict[str, tf.Tensor]:
    """Logits, probabilities and class names; NaN and an empty name for an image with NaN or infinite pixels."""
    pixels = _checked(raw, image_shape)
    count = tf.shape(pixels)[0]
    # The kernels refuse an empty batch: it becomes one black image, whose answer is cut off.
    filled = tf.pad(pixels, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
    finite = tf.reduce_all(tf.math.is_finite(pixels), axis=[1, 2, 3])
    logits = tf.where(finite[:, None], model(filled, training=False)[:count], np.nan)
    return {
        "probabilities": tf.nn.softmax(logits),
        "class_name": tf.where(finite, tf.gather(names, tf.argmax(logits, -1)), ""),
        "logits": logits,
    }


def _checked(raw, image_shape):
    """The images as float32 [B, H, W, C], after a check of their shape."""
    expected = f"Expected raw images of shape [batch, {', '.join(map(str, image_shape))}]. Received shape:"
    shape = tf.shape(raw)
    sides = tf.concat([shape, [-1] * 4], 0)[1:4]  # of any rank, so that the comparison itself cannot fail
    good = tf.logical_and(tf.equal(tf.rank(raw), 4), tf.reduce_all(tf.equal(sides, image_shape)))
    with tf.control_dependencies([tf.debugging.Assert(good, [expected, shape], summarize=9)]):
        return tf.ensure_shape(tf.cast(raw, tf.float32), [None, *image_shape])
