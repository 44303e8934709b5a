"""tf_edd's own retraining step behind the interface of the peers."""

import tensorflow as tf

from benchmarks import setting as s
from tf_edd.architectures import genotype
from tf_edd.networks.final_network import build_final_network
from tf_edd.optimizers import SGD
from tf_edd.runtime.strategy import configure
from tf_edd.spaces import darts
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.train_step import TrainStep


def build(setting: s.Setting):
    """The training step of the cell DARTS_V2, as `launch.retrain` runs it on one device."""
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    with configure(strategy="one").strategy.scope():
        space = darts(setting.channels, setting.cells)
        shape = (setting.image_size, setting.image_size, 3)
        model = build_final_network(space, genotype.load("DARTS_V2", space), shape, setting.classes)
        optimizer = SGD(s.LEARNING_RATE, s.MOMENTUM, weight_decay=s.WEIGHT_DECAY)
        train_step = TrainStep(model, TrainingRecipe(optimizer, weight_gradient_clip=s.CLIP_NORM))
    s.check_parameters(setting, sum(int(tf.size(variable.value)) for variable in model.trainable_variables))
    train_step.begin(0, s.LEARNING_RATE)

    def step(images, labels):
        return [float(train_step(tf.constant(images), tf.constant(labels))["loss/train"])]

    return step
