"""The supernet as a competent Keras user writes it: the standard layers, p * op(x) sums, two tf.functions."""

import keras
import tensorflow as tf

from benchmarks import setting as s


def conv_bn(channels: int, kernel: int, strides: int = 1, affine: bool = False) -> keras.Sequential:
    """ReLU, convolution without bias, batch norm."""
    return keras.Sequential(
        [
            keras.layers.ReLU(),
            keras.layers.Conv2D(channels, kernel, strides, padding="same", use_bias=False),
            batch_norm(affine),
        ]
    )


def batch_norm(affine: bool) -> keras.layers.BatchNormalization:
    """PyTorch's defaults: momentum 0.9 and epsilon 1e-5."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=affine, scale=affine)


class MixedOp(keras.layers.Layer):
    """The probability-weighted sum of the five candidates; `none` adds nothing."""

    def __init__(self, channels: int):
        super().__init__()
        self.candidates = [
            keras.layers.Identity(),
            conv_bn(channels, 1),
            conv_bn(channels, 3),
            keras.layers.AveragePooling2D(3, 1, padding="same"),
        ]

    def call(self, x, probs, training=False):
        """x [B, H, W, C] and probs [5] -> [B, H, W, C]."""
        terms = [probs[i + 1] * candidate(x, training=training) for i, candidate in enumerate(self.candidates)]
        return sum(terms[1:], terms[0])


class Cell(keras.layers.Layer):
    """Four nodes, an edge from every earlier node, the last node is the output."""

    def __init__(self, channels: int):
        super().__init__()
        self.edges = [MixedOp(channels) for _ in range(6)]

    def call(self, x, probs, training=False):
        """x [B, H, W, C] and probs [6, 5] -> [B, H, W, C]."""
        nodes, edge = [x], 0
        for _ in range(3):
            terms = [self.edges[edge + i](node, probs[edge + i], training=training) for i, node in enumerate(nodes)]
            edge += len(nodes)
            nodes.append(sum(terms[1:], terms[0]))
        return nodes[-1]


class Reduction(keras.layers.Layer):
    """The fixed residual block of stride 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv_bn(channels, 3, strides=2, affine=True)
        self.second = conv_bn(channels, 3, affine=True)
        self.pool = keras.layers.AveragePooling2D(2, 2)
        self.project = keras.layers.Conv2D(channels, 1, use_bias=False)

    def call(self, x, training=False):
        """x [B, H, W, C] -> [B, H/2, W/2, 2C]."""
        return self.second(self.first(x, training=training), training=training) + self.project(self.pool(x))


class Supernet(keras.Model):
    """Stem, three stages of cells with residual blocks between them, head."""

    def __init__(self, setting: s.Setting):
        super().__init__()
        self.stem = keras.Sequential(
            [keras.layers.Conv2D(setting.channels, 3, padding="same", use_bias=False), batch_norm(affine=True)]
        )
        self.blocks = []
        for stage in range(3):
            channels = setting.channels * 2**stage
            self.blocks += [Reduction(channels)] if stage else []
            self.blocks += [Cell(channels) for _ in range(setting.cells)]
        self.head = keras.Sequential(
            [
                batch_norm(affine=True),
                keras.layers.ReLU(),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(setting.classes),
            ]
        )

    def call(self, x, probs, training=False):
        """x [B, H, W, 3] and probs [6, 5] -> logits [B, classes]."""
        x = self.stem(x, training=training)
        for block in self.blocks:
            x = block(x, probs, training=training) if isinstance(block, Cell) else block(x, training=training)
        return self.head(x, training=training)


def build(setting: s.Setting):
    """The search step of the NAS-Bench-201 supernet."""
    use_cores(setting)
    return search_step(Supernet(setting), setting)


def use_cores(setting: s.Setting):
    """Limits TensorFlow's threads; call before the first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)


def search_step(supernet: keras.Model, setting: s.Setting):
    """A weight step and an architecture step as two tf.functions."""
    logits = [tf.Variable(s.LOGIT_SCALE * tf.random.normal(shape)) for shape in s.SUITES[setting.suite].logit_shapes]
    supernet(tf.zeros([setting.batch, setting.image_size, setting.image_size, 3]), *map(tf.nn.softmax, logits))
    s.check_parameters(setting, sum(int(tf.size(variable)) for variable in supernet.trainable_variables))
    optimizer = keras.optimizers.SGD(s.LEARNING_RATE, s.MOMENTUM, nesterov=True)
    arch_optimizer = keras.optimizers.Adam(s.ARCH_LEARNING_RATE, *s.ARCH_BETAS)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(supernet.trainable_variables)
    arch_optimizer.build(logits)

    @tf.function
    def weight_step(images, labels):
        variables = [variable.value for variable in supernet.trainable_variables]
        with tf.GradientTape() as tape:
            loss = loss_of(labels, supernet(images, *map(tf.nn.softmax, logits), training=True))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), s.CLIP_NORM)
        gradients = [g + s.WEIGHT_DECAY * v for g, v in zip(gradients, variables, strict=True)]
        optimizer.apply_gradients(zip(gradients, supernet.trainable_variables, strict=True))
        return loss

    @tf.function
    def arch_step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, supernet(images, *map(tf.nn.softmax, logits), training=True))
        gradients = tape.gradient(loss, logits)
        decayed = [g + s.ARCH_WEIGHT_DECAY * each for g, each in zip(gradients, logits, strict=True)]
        arch_optimizer.apply_gradients(zip(decayed, logits, strict=True))
        return loss

    def step(images, labels, valid_images, valid_labels):
        losses = (
            weight_step(tf.constant(images), tf.constant(labels)),
            arch_step(tf.constant(valid_images), tf.constant(valid_labels)),
        )
        return [float(loss) for loss in losses]

    return step
