"""Steps on the weights of a supernet: of the whole mixture, and of sampled paths."""

import itertools

import tensorflow as tf

from benchmarks import setting as s
from tf_edd import samplers
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers.optimizers import SGD, Adam
from tf_edd.relaxations import relaxations
from tf_edd.runtime.strategy import make_strategy, runtime
from tf_edd.spaces import nas_bench_201
from tf_edd.steps.first_order import Bilevel
from tf_edd.steps.sampled_paths import SinglePath


def build(setting: s.Setting, method: str):
    """A step of `method`: "mixture", "uniform" paths, or "importance" sampling of paths and images.

    As long as no epoch ends, importance sampling draws the same paths as uniform sampling, and keeps its statistics.
    """
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    runtime("float32").apply()
    with make_strategy("one").scope():
        supernet = Supernet(nas_bench_201(setting.channels, setting.cells), setting.classes)
        supernet.build((setting.batch, setting.image_size, setting.image_size, 3))
        s.check_parameters(setting, supernet.count_params())
        take = (_mixture if method == "mixture" else _paths)(setting, supernet, method)
    numbers = itertools.count()

    def step(images, labels):
        scalars = take((tf.constant(images), tf.constant(labels)), tf.constant(next(numbers), tf.int64))
        return [float(scalars["loss/weights"])]

    return step


def _optimizer() -> SGD:
    return SGD(s.LEARNING_RATE, s.MOMENTUM, weight_decay=s.WEIGHT_DECAY)


def _mixture(setting, supernet, _):
    logits = ArchLogits(supernet.space, seed=0, init_scale=s.LOGIT_SCALE)
    step = Bilevel(supernet, logits, relaxations.softmax(), _optimizer(), Adam(), weight_gradient_clip=s.CLIP_NORM)
    return lambda batch, index: step.step(batch, None, index, ("weights",))


def _paths(setting, supernet, method):
    if method == "uniform":
        paths, images, rows = samplers.uniform_paths(), samplers.uniform_images(), ()
    else:
        paths, images = samplers.importance_paths(), samplers.importance_images()
        images.build(50_000)
        rows = (tf.range(setting.batch),)
    step = SinglePath(supernet, _optimizer(), paths, images, clip=s.CLIP_NORM)
    return lambda batch, index: step.step((*batch, *rows), index)
