"""The plain CNN of `own_images.py`: Keras as a user would write it, without any part of tf_edd."""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

BATCH = 64
HELD_OUT = 0.15


def network(width: int, shape: tuple[int, int, int], classes: int, flip: bool) -> keras.Model:
    """Six convolutions with batch norm, two poolings, global average pooling."""
    layers: list = [keras.Input(shape), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    layers += [keras.layers.RandomFlip("horizontal")] * flip
    layers += [keras.layers.RandomTranslation(0.125, 0.125, fill_mode="constant")]
    for stage in range(3):
        for _ in range(2):
            layers += [keras.layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False)]
            layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
        layers += [keras.layers.MaxPooling2D()] if stage < 2 else [keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def width_for(parameters: int, shape, classes: int) -> int:
    """The width whose number of parameters is nearest."""
    counts = {width: network(width, shape, classes, False).count_params() for width in range(4, 129, 2)}
    return min(counts, key=lambda width: abs(counts[width] - parameters))


class BestWithin(keras.callbacks.Callback):
    """Keeps the weights of the best epoch on the held-out images, and stops when the seconds are over."""

    def __init__(self, seconds: float):
        super().__init__()
        self._end, self.best, self.weights, self.epochs = time.perf_counter() + seconds, -1.0, None, 0

    def on_epoch_end(self, epoch, logs=None):
        """Compares, and looks at the clock."""
        self.epochs = epoch + 1
        if logs["val_accuracy"] > self.best:
            self.best, self.weights = logs["val_accuracy"], self.model.get_weights()
        if time.perf_counter() >= self._end:
            self.model.stop_training = True


def train(images: Path, parameters: int, seconds: float, image_size, seed: int, flip: bool) -> dict:
    """Trains for so many seconds, and measures the best network on the test images.

    Args:
        images: A folder with train/CLASS and test/CLASS.
        parameters: About how many the network shall have.
        seconds: How long to train.
        image_size: (height, width).
        seed: Of everything.
        flip: Whether to flip images.
    """
    keras.utils.set_random_seed(seed)
    x_train, y_train = _read(images / "train")
    x_test, y_test = _read(images / "test")
    order = np.random.default_rng(seed).permutation(len(x_train))
    held_out, rest = np.split(order, [int(HELD_OUT * len(order))])
    classes, shape = int(y_train.max()) + 1, (*image_size, x_train.shape[-1])
    model = network(width_for(parameters, shape, classes), shape, classes, flip)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    slower = keras.callbacks.ReduceLROnPlateau("val_accuracy", factor=0.3, patience=20, min_lr=1e-5)
    kept, began = BestWithin(seconds), time.perf_counter()
    batches = tf.data.Dataset.from_tensor_slices((x_train[rest], y_train[rest])).shuffle(len(rest), seed).batch(BATCH)
    valid = tf.data.Dataset.from_tensor_slices((x_train[held_out], y_train[held_out])).batch(BATCH)
    model.fit(batches, epochs=100_000, validation_data=valid, callbacks=[slower, kept], shuffle=False, verbose=0)
    model.set_weights(kept.weights)
    accuracy = float(np.mean(np.argmax(model.predict(x_test, verbose=0), 1) == y_test))
    spent = time.perf_counter() - began
    return {"accuracy": accuracy, "parameters": model.count_params(), "seconds": spent, "epochs": kept.epochs}


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All images of class folders, uint8 [N, H, W, C], and their labels."""
    from PIL import Image

    images, labels = [], []
    for label, directory in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(directory.glob("*.png")):
            pixels = np.asarray(Image.open(path))
            images.append(pixels if pixels.ndim == 3 else pixels[..., None])
            labels.append(label)
    return np.stack(images), np.array(labels)
