"""The fixed blocks of macro skeletons, which supernet and final network share; their table is `networks.roles`."""

import keras
import tensorflow as tf

from tf_edd.networks.stems import ConvReLU6, EighthStem, QuarterStem
from tf_edd.operations.base import kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN
from tf_edd.operations.mobile import MBConv


@keras.saving.register_keras_serializable(package="tf_edd")
class Reduction(keras.layers.Layer):
    """The residual block of stride 2 of NAS-Bench-201.

    [ReLU, conv 3x3 stride 2, BN], [ReLU, conv 3x3, BN] beside an average pooling 2x2 and a 1x1 convolution without
    batch norm; the ReLU belongs to the main path only.
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
        half = self.first.compute_output_shape(input_shape)
        self.first.build(input_shape)
        self.second.build(half)
        self.shortcut.build((*half[:-1], input_shape[-1]))

    def call(self, x, training=False):
        y = self.first.call(tf.nn.relu(x), training=training)
        y = self.second.call(tf.nn.relu(y), training=training)
        return y + self.shortcut.call(tf.nn.avg_pool2d(x, 2, 2, "SAME"))

    def compute_output_shape(self, input_shape, **_):
        return self.first.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "norm": self.norm}


@keras.saving.register_keras_serializable(package="tf_edd")
class Head(keras.layers.Layer):
    """Global average pooling and linear classifier for maps of any size; logits [B, num_classes] are float32.

    Args:
        num_classes: number of classes.
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
        if self.activate:
            x = tf.nn.relu(self.batch_norm.call(x, training=training))
        x = tf.cast(tf.reduce_mean(x, [1, 2]), tf.float32)
        return tf.matmul(x, tf.cast(self.kernel, tf.float32)) + tf.cast(self.bias, tf.float32)

    def compute_output_shape(self, input_shape, **_):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        config = {"num_classes": self.num_classes, "norm": self.norm, "activate": self.activate}
        return {**super().get_config(), **config}


def stem(block, num_classes, norm, name):
    """Convolution 3x3, batch norm."""
    return ConvBN(block.channels, 3, block.stride, relu=False, name=name, **norm)


def stem_quarter(block, num_classes, norm, name):
    """The first stem for large images: two convolutions 3x3 of stride 2, ReLU between them."""
    return QuarterStem(block.channels, norm, name=name)


def stem_eighth(block, num_classes, norm, name):
    """The second stem for large images: ReLU, convolution 3x3 of stride 2."""
    return EighthStem(block.channels, norm, name=name)


def reduction(block, num_classes, norm, name):
    """The residual block of NAS-Bench-201."""
    return Reduction(block.channels, norm, name=name)


def mobile_stem(block, num_classes, norm, name):
    """Convolution 3x3, batch norm, ReLU6."""
    return ConvReLU6(block.channels, 3, block.stride, norm, name=name)


def mobile_first(block, num_classes, norm, name):
    """An inverted bottleneck 3x3 that does not expand."""
    return MBConv(block.channels, 3, block.stride, 1, name=name, **norm)


def mobile_head(block, num_classes, norm, name):
    """Convolution 1x1, batch norm, ReLU6."""
    return ConvReLU6(block.channels, 1, norm=norm, name=name)


def head(block, num_classes, norm, name):
    """Batch norm, ReLU, global average pooling, linear layer."""
    return Head(num_classes, norm, name=name)


def classifier(block, num_classes, norm, name):
    """Global average pooling, linear layer."""
    return Head(num_classes, norm, activate=False, name=name)
