"""The fixed parts of the macro skeleton: reduction block, head, and the table of all. Both networks share them."""

import keras
import tensorflow as tf

from tf_edd.networks.stems import ConvReLU6, EighthStem, QuarterStem
from tf_edd.operations import BatchNorm, ConvBN, MBConv
from tf_edd.operations.base import kernel_initializer


@keras.saving.register_keras_serializable(package="tf_edd")
class Reduction(keras.layers.Layer):
    """The residual block of stride 2 of NAS-Bench-201.

    [ReLU, conv 3x3 stride 2, BN], [ReLU, conv 3x3, BN] beside an average pooling 2x2 and a 1x1 convolution without
    batch norm; the ReLU belongs to the main path alone.
    """

    def __init__(self, channels, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = dict(norm or {})
        policy = {"dtype": self.dtype_policy, **self.norm}
        self.first = ConvBN(channels, 3, stride=2, name="first", **policy)
        self.second = ConvBN(channels, 3, name="second", **policy)
        self.shortcut = ConvBN(channels, 1, relu=False, normalize=False, name="shortcut", **policy)

    def build(self, input_shape):
        """Builds the three convolutions."""
        half = self.first.compute_output_shape(input_shape)
        self.first.build(input_shape)
        self.second.build(half)
        self.shortcut.build((*half[:-1], input_shape[-1]))

    def call(self, x, training=False):
        """Half the resolution, `channels` channels."""
        y = self.first.call(tf.nn.relu(x), training=training)
        y = self.second.call(tf.nn.relu(y), training=training)
        return y + self.shortcut.call(tf.nn.avg_pool2d(x, 2, 2, "SAME"))

    def compute_output_shape(self, input_shape, **_):
        """[B, ceil(H / 2), ceil(W / 2), channels]."""
        return self.first.compute_output_shape(input_shape)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "channels": self.channels, "norm": self.norm}


@keras.saving.register_keras_serializable(package="tf_edd")
class Head(keras.layers.Layer):
    """Global average pooling and linear classifier, of maps of any size; logits are float32.

    Args:
        num_classes: classes of the data.
        norm: arguments of the batch norm.
        activate: whether batch norm and ReLU come first (NAS-Bench-201).
    """

    def __init__(self, num_classes, norm=None, activate=True, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.norm = dict(norm or {})
        self.activate = activate
        self.batch_norm = BatchNorm(dtype=self.dtype_policy, name="norm", **self.norm) if activate else None

    def build(self, input_shape):
        """Creates the classifier."""
        if self.activate:
            self.batch_norm.build(input_shape)
        width = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(width, self.num_classes), initializer=kernel_initializer(), dtype="float32"
        )
        bound = width**-0.5
        self.bias = self.add_weight(
            name="bias",
            shape=(self.num_classes,),
            initializer=keras.initializers.RandomUniform(-bound, bound),
            dtype="float32",
        )

    def call(self, x, training=False):
        """Logits [B, num_classes]."""
        if self.activate:
            x = tf.nn.relu(self.batch_norm.call(x, training=training))
        x = tf.cast(tf.reduce_mean(x, [1, 2]), tf.float32)
        return tf.matmul(x, tf.cast(self.kernel, tf.float32)) + tf.cast(self.bias, tf.float32)

    def compute_output_shape(self, input_shape, **_):
        """[B, num_classes]."""
        return (input_shape[0], self.num_classes)

    def get_config(self):
        """Constructor arguments."""
        config = {"num_classes": self.num_classes, "norm": self.norm, "activate": self.activate}
        return {**super().get_config(), **config}


# Role of a block -> builder, called as builder(block, num_classes, norm, name).
BLOCKS = {
    "stem": lambda block, _, norm, name: ConvBN(block.channels, 3, block.stride, relu=False, name=name, **norm),
    "stem_quarter": lambda block, _, norm, name: QuarterStem(block.channels, norm, name=name),
    "stem_eighth": lambda block, _, norm, name: EighthStem(block.channels, norm, name=name),
    "mobile_stem": lambda block, _, norm, name: ConvReLU6(block.channels, 3, block.stride, norm, name=name),
    "mobile_first": lambda block, _, norm, name: MBConv(block.channels, 3, block.stride, 1, name=name, **norm),
    "mobile_head": lambda block, _, norm, name: ConvReLU6(block.channels, 1, norm=norm, name=name),
    "reduction": lambda block, _, norm, name: Reduction(block.channels, norm, name=name),
    "head": lambda _, num_classes, norm, name: Head(num_classes, norm, name=name),
    "classifier": lambda _, num_classes, norm, name: Head(num_classes, norm, activate=False, name=name),
}


def build_block(block, num_classes: int, norm: dict, name: str):
    """The layer of a block of the macro skeleton that is not a cell."""
    return BLOCKS[block.role](block, num_classes, norm, name)
