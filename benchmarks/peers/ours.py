"""tf_edd's own search step behind the interface of the peers."""

import tensorflow as tf

from benchmarks import setting as s
from tf_edd.architectures.logits import ArchLogits
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers.optimizers import SGD, Adam
from tf_edd.regularizers.regularizers import self_distillation
from tf_edd.relaxations import relaxations
from tf_edd.runtime.strategy import make_strategy, runtime
from tf_edd.spaces import darts, nas_bench_201
from tf_edd.steps.first_order import Bilevel

_SPACES = {"nas_bench_201": nas_bench_201, "darts": darts}


def build(setting: s.Setting, precision: str, relaxation: str, rematerialize: bool = False, distilled: bool = False):
    """The bilevel step of a search, weights first, as `launch.search` runs it on one device."""
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    runtime(precision).apply()
    with make_strategy("one").scope():
        regularizers = [self_distillation(warm_up_epochs=0)] if distilled else []
        bilevel = _bilevel(setting, getattr(relaxations, relaxation)(), rematerialize, regularizers)
    index = tf.constant(0, tf.int64)

    def step(images, labels, valid_images, valid_labels):
        train_batch = tf.constant(images), tf.constant(labels)
        scalars = bilevel.step(train_batch, (tf.constant(valid_images), tf.constant(valid_labels)), index)
        return [float(scalars["loss/weights"]), float(scalars["loss/arch"])]

    return step


def _bilevel(setting: s.Setting, relaxation, rematerialize: bool, regularizers) -> Bilevel:
    space = _SPACES[setting.suite](setting.channels, setting.cells)
    supernet = Supernet(space, setting.classes, rematerialize=rematerialize)
    supernet.build((setting.batch, setting.image_size, setting.image_size, 3))
    s.check_parameters(setting, supernet.count_params())
    return Bilevel(
        supernet,
        ArchLogits(space, seed=0, init_scale=s.LOGIT_SCALE),
        relaxation,
        SGD(s.LEARNING_RATE, s.MOMENTUM, nesterov=True, weight_decay=s.WEIGHT_DECAY),
        Adam(s.ARCH_LEARNING_RATE, *s.ARCH_BETAS, weight_decay=s.ARCH_WEIGHT_DECAY),
        regularizers=regularizers,
        weight_gradient_clip=s.CLIP_NORM,
    )
