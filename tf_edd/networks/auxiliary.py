"""The auxiliary head: a second classifier in the middle of a network, for its training alone."""

import keras
import tensorflow as tf

from tf_edd.networks.blocks import Head
from tf_edd.operations import BatchNorm
from tf_edd.operations.base import kernel_initializer

POOL = 5
HIDDEN = 128
# Role -> stride of its pooling, whether batch norm follows the last convolution. Sizes: `spaces.fit.AUXILIARY_SIDES`.
FORMS = {"auxiliary_cifar": (3, True), "auxiliary_imagenet": (2, False)}


@keras.saving.register_keras_serializable(package="tf_edd")
class AuxiliaryHead(keras.layers.Layer):
    """ReLU, average pooling 5x5 to 2x2 maps, conv 1x1, BN, ReLU, conv 2x2, BN, ReLU, linear; logits are float32.

    The form for ImageNet has no second batch norm, as in the reference code ("kept for consistency").

    Args:
        num_classes: classes of the data.
        channels: of the second convolution.
        stride: of the pooling.
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
        """Creates the kernels."""
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
        """Logits [B, num_classes]."""
        x = tf.nn.avg_pool2d(tf.nn.relu(x), POOL, self.stride, "VALID")
        first, second = (tf.cast(kernel.value, x.dtype) for kernel in self.kernels)
        x = tf.nn.relu(self.first_norm.call(tf.nn.conv2d(x, first, 1, "VALID"), training=training))
        x = tf.nn.conv2d(x, second, 1, "VALID")
        if self.last_norm:
            x = self.second_norm.call(x, training=training)
        return self.classifier.call(tf.nn.relu(x))

    def compute_output_shape(self, input_shape, **_):
        """[B, num_classes]."""
        return (input_shape[0], self.num_classes)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "channels": self.channels,
            "stride": self.stride,
            "last_norm": self.last_norm,
            "norm": self.norm,
        }


def build_auxiliary(block, num_classes: int, norm: dict, name: str) -> AuxiliaryHead:
    """The auxiliary head of a block of the macro skeleton, for maps of the size that it is made for."""
    stride, last_norm = FORMS[block.role]
    return AuxiliaryHead(num_classes, block.channels, stride, last_norm, norm, name=name)
