"""tf_edd's own search step behind the interface of the peers."""

import itertools

import tensorflow as tf

from benchmarks import setting as s
from tf_edd import relaxations
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.runtime.strategy import configure
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import darts, nas_bench_201
from tf_edd.steps import FirstOrder, StepInfo, StepSetup

_SPACES = {"nas_bench_201": nas_bench_201, "darts": darts}


def build(setting: s.Setting, precision: str, relaxation: str, rematerialize: bool = False, distilled: bool = False):
    """The first-order step of a search, weights first, as `launch.search` runs it on one device."""
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    with configure(precision=precision, strategy="one").strategy.scope():
        regularizers = (SelfDistillation(warmup_epochs=0),) if distilled else ()
        search_step = _step(setting, getattr(relaxations, relaxation)(), rematerialize, regularizers)
    numbers = itertools.count()

    def step(images, labels, valid_images, valid_labels):
        train, valid = (
            (tf.constant(images), tf.constant(labels)),
            (tf.constant(valid_images), tf.constant(valid_labels)),
        )
        scalars = search_step({"weights": train, "arch": valid}, StepInfo(next(numbers)))
        return [float(scalars["loss/weights"]), float(scalars["loss/arch"])]

    return step


def _step(setting: s.Setting, relaxation, rematerialize: bool, regularizers):
    space = _SPACES[setting.suite](setting.channels, setting.cells)
    supernet = Supernet(space, setting.classes, rematerialize=rematerialize)
    supernet.build((setting.batch, setting.image_size, setting.image_size, 3))
    s.check_parameters(setting, supernet.count_params())
    method = Method(
        step=FirstOrder(weight_gradient_clip=s.CLIP_NORM),
        relaxation=relaxation,
        weight_optimizer=SGD(s.LEARNING_RATE, s.MOMENTUM, nesterov=True, weight_decay=s.WEIGHT_DECAY),
        weight_rate=ConstantRate(s.LEARNING_RATE),
        arch_optimizer=Adam(s.ARCH_LEARNING_RATE, *s.ARCH_BETAS, weight_decay=s.ARCH_WEIGHT_DECAY),
        arch_rate=ConstantRate(s.ARCH_LEARNING_RATE),
        regularizers=regularizers,
    )
    logits = ArchLogits(space, seed=0, init_scale=s.LOGIT_SCALE)
    return method.step.build(StepSetup(supernet, logits, method))
