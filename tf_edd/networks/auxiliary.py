"""The auxiliary head: a second classifier in the middle of a network, for training only."""

import keras
import tensorflow as tf

from tf_edd.networks.blocks import Head
from tf_edd.operations.base import kernel_initializer
from tf_edd.operations.batch_norm import BatchNorm

POOL = 5
HIDDEN = 128


@keras.saving.register_keras_serializable(package="tf_edd")
class AuxiliaryHead(keras.layers.Layer):
    """ReLU, average pooling 5x5 to 2x2 maps, conv 1x1, BN, ReLU, conv 2x2, BN, ReLU, linear; logits float32.

    The form for ImageNet has no second batch norm, as in the reference code ("kept for consistency").

    Args:
        num_classes: number of classes.
        channels: channels of the second convolution.
        stride: stride of the pooling.
        last_norm: whether batch norm follows the second convolution.
        norm: arguments of the batch norms.

    Source: https://github.com/quark0/darts, `cnn/model.py`.
    """

    def __init__(self, num_classes, channels=768, stride=3, last_norm=True, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.channels = channels
        self.stride = stride
        self.last_norm = last_norm
        self.norm = dict(norm or {})
        policy = {"dtype": self.dtype_policy, **self.norm}
        self.first_norm = BatchNorm(name="first_norm", **policy)
        self.second_norm = BatchNorm(name="second_norm", **policy) if last_norm else None
        self.classifier = Head(num_classes, activate=False, dtype=self.dtype_policy, name="classifier")

    def build(self, input_shape):
        width, initializer = input_shape[-1], kernel_initializer()
        self.kernels = [
            self.add_weight(name="kernel_1", shape=(1, 1, width, HIDDEN), initializer=initializer),
            self.add_weight(name="kernel_2", shape=(2, 2, HIDDEN, self.channels), initializer=initializer),
        ]
        self.first_norm.build((None, 2, 2, HIDDEN))
        if self.last_norm:
            self.second_norm.build((None, 1, 1, self.channels))
        self.classifier.build((None, 1, 1, self.channels))

    def call(self, x, training=False):
        x = tf.nn.avg_pool2d(tf.nn.relu(x), POOL, self.stride, "VALID")
        first, second = (tf.cast(kernel.value, x.dtype) for kernel in self.kernels)
        x = tf.nn.relu(self.first_norm.call(tf.nn.conv2d(x, first, 1, "VALID"), training=training))
        x = tf.nn.conv2d(x, second, 1, "VALID")
        if self.last_norm:
            x = self.second_norm.call(x, training=training)
        return self.classifier.call(tf.nn.relu(x))

    def compute_output_shape(self, input_shape, **_):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "channels": self.channels,
            "stride": self.stride,
            "last_norm": self.last_norm,
            "norm": self.norm,
        }


def for_cifar(block, num_classes, norm, name):
    """The auxiliary head for maps of 8x8."""
    return AuxiliaryHead(num_classes, block.channels, 3, True, norm, name=name)


def for_imagenet(block, num_classes, norm, name):
    """The auxiliary head for maps of 7x7."""
    return AuxiliaryHead(num_classes, block.channels, 2, False, norm, name=name)
