"""Steps on the weights of a supernet: of the whole mixture, and of sampled paths."""

import itertools

import tensorflow as tf

from benchmarks import setting as s
from tf_edd import samplers
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.relaxations import Softmax
from tf_edd.runtime.strategy import configure
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import FirstOrder, SampledPaths, StepInfo, StepSetup

IMAGES = 50_000


def build(setting: s.Setting, method: str):
    """A step of `method`: "mixture", "uniform" paths, or "importance" sampling of paths and images.

    As long as no epoch ends, importance sampling draws the same paths as uniform sampling, and keeps its statistics.
    """
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    with configure(strategy="one").strategy.scope():
        supernet = Supernet(nas_bench_201(setting.channels, setting.cells), setting.classes)
        supernet.build((setting.batch, setting.image_size, setting.image_size, 3))
        s.check_parameters(setting, supernet.count_params())
        parts = _method(method)
        logits = ArchLogits(supernet.space, seed=0, init_scale=s.LOGIT_SCALE)
        search_step = parts.step.build(StepSetup(supernet, logits, parts, train_images=IMAGES))
    numbers = itertools.count()
    rows = (tf.range(setting.batch),) if method == "importance" else ()

    def step(images, labels):
        batch = (tf.constant(images), tf.constant(labels), *rows)
        scalars = search_step({"weights": batch}, StepInfo(next(numbers), phases=("weights",)))
        return [float(scalars["loss/weights"])]

    return step


def _method(name: str) -> Method:
    optimizer = SGD(s.LEARNING_RATE, s.MOMENTUM, weight_decay=s.WEIGHT_DECAY)
    shared = {"weight_optimizer": optimizer, "weight_rate": ConstantRate(s.LEARNING_RATE)}
    if name == "mixture":
        arch = {"arch_optimizer": Adam(), "arch_rate": ConstantRate(s.ARCH_LEARNING_RATE), "relaxation": Softmax()}
        return Method(step=FirstOrder(weight_gradient_clip=s.CLIP_NORM), **shared, **arch)
    paths, images = samplers.UniformPaths(), samplers.UniformImages()
    if name == "importance":
        paths, images = samplers.ImportancePaths(), samplers.ImportanceImages()
    return Method(step=SampledPaths(paths, images, weight_gradient_clip=s.CLIP_NORM), **shared)
