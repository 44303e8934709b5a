"""The network of the cell DARTS_V2 as a functional model of Keras' own layers, and a step of its training."""

import keras
import tensorflow as tf

from benchmarks import setting as s
from benchmarks.peers import darts_layout as layouts
from benchmarks.peers.darts_keras import operation, preprocess, stem
from benchmarks.peers.plain_keras import use_cores


def cell(plan: layouts.CellPlan, first, second):
    """Two inputs, four nodes that each add two operations, the nodes side by side as output."""
    nodes = [layer(x) for layer, x in zip(preprocess(plan, affine=True), (first, second), strict=True)]
    for pair in layouts.DARTS_V2[plan.kind]:
        terms = [
            operation(name, plan.channels, layouts.stride(plan.kind, source), affine=True)(nodes[source])
            for name, source in pair
        ]
        nodes.append(keras.layers.Add()(terms))
    return keras.layers.Concatenate()(nodes[2:])


def network(setting: s.Setting) -> keras.Model:
    """Images -> logits."""
    images = keras.Input([setting.image_size, setting.image_size, 3])
    first = second = stem(setting.channels)(images)
    for plan in layouts.cells(setting.channels, setting.cells):
        first, second = second, cell(plan, first, second)
    pooled = keras.layers.GlobalAveragePooling2D()(second)
    return keras.Model(images, keras.layers.Dense(setting.classes)(pooled))


def build(setting: s.Setting):
    """A training step: SGD with momentum and coupled weight decay, clipped gradient."""
    use_cores(setting)
    model = network(setting)
    s.check_parameters(setting, sum(int(tf.size(variable)) for variable in model.trainable_variables))
    optimizer = keras.optimizers.SGD(s.LEARNING_RATE, s.MOMENTUM)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train_step(images, labels):
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), s.CLIP_NORM)
        gradients = [g + s.WEIGHT_DECAY * v for g, v in zip(gradients, variables, strict=True)]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def step(images, labels):
        return [float(train_step(tf.constant(images), tf.constant(labels)))]

    return step
