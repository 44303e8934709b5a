"""Small parts of a search on their own: EDD's update, the price of sn-softmax, a step's share of the data pipeline."""

import time

import numpy as np
import tensorflow as tf

from benchmarks.setting import SUITES, Setting
from tf_edd import data
from tf_edd.data.images import Images
from tf_edd.data.normalization import KNOWN_MOMENTS
from tf_edd.data.sources import ArraySource
from tf_edd.relaxations import Softmax, SparseNoisySoftmax, mean_entropy
from tf_edd.schedules import EntropyDecay

REPEATS = 300
CIFAR10_IMAGES = 50_000
DATA_BATCHES = 200


def _median_seconds(function, repeats: int = REPEATS) -> float:
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _logits(setting: Setting) -> list[tf.Variable]:
    return [tf.Variable(tf.random.normal(shape)) for shape in SUITES[setting.suite].logit_shapes]


def edd_update(setting: Setting) -> float:
    """Seconds of one epoch's update: probabilities and mean entropy from the logits, then Eq. 14 and 15."""
    logits = _logits(setting)
    schedule, relaxation = EntropyDecay(), SparseNoisySoftmax()
    state, value = schedule.init()

    def update():
        entropy = mean_entropy({i: relaxation.mean(each, value) for i, each in enumerate(logits)})
        schedule.update(state, 1, float(entropy))

    return _median_seconds(update)


def sn_softmax_extra(setting: Setting) -> float:
    """Seconds by which forward and gradient of sn-softmax exceed those of softmax (twice a step, weights and arch)."""
    logits = _logits(setting)
    upstream = [tf.random.normal(each.shape) for each in logits]

    def gradient_of(relaxation):
        @tf.function
        def gradient(value):
            with tf.GradientTape() as tape:
                probs = [relaxation(each, value) for each in logits]
            return tape.gradient(probs, logits, upstream)

        value = tf.constant(0.5)
        return lambda: gradient(value)[-1].numpy()

    plain, noisy = gradient_of(Softmax()), gradient_of(SparseNoisySoftmax())
    return 2 * (_median_seconds(noisy) - _median_seconds(plain))


def _cifar10(setting: Setting, data_dir: str | None) -> Images:
    if data_dir:
        return data.TfdsImages("cifar10").load(data_dir).train
    generator = np.random.default_rng(0)
    shape = (CIFAR10_IMAGES, setting.image_size, setting.image_size, 3)
    pixels = generator.integers(0, 256, shape, np.uint8)
    return Images(ArraySource(pixels, generator.integers(0, 10, CIFAR10_IMAGES)), KNOWN_MOMENTS["cifar10"])


def data_step(setting: Setting, data_dir: str | None) -> float:
    """Seconds that the two batches of a step cost (shuffle, crop, flip, normalize): processor time over the cores.

    Prefetching hides wall time; processor time is what a step loses when every core is busy.
    """
    splits = data.split(_cifar10(setting, data_dir), 0.5, 0.5, seed=0)
    augment = [data.Crop(), data.Flip()]
    streams = [iter(half.batches(setting.batch, 0, 1, augment=augment)) for half in (splits.train, splits.valid)]
    for stream in streams:
        next(stream)
    start = time.process_time()
    for _ in range(DATA_BATCHES):
        for stream in streams:
            next(stream)
    return (time.process_time() - start) / DATA_BATCHES / setting.cores


def measure(setting: Setting, data_dir: str | None) -> dict[str, float]:
    """Seconds of every part."""
    return {
        "edd_update": edd_update(setting),
        "sn_softmax_extra": max(sn_softmax_extra(setting), 0.0),
        "data": data_step(setting, data_dir),
    }
