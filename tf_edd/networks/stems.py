"""The two stems of DARTS for large images, which feed the first cell, and the convolutions of mobile networks."""

import keras
import tensorflow as tf

from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN, convolve, strided_shape
from tf_edd.operations.mobile import EPSILON, he_fout


@keras.saving.register_keras_serializable(package="tf_edd")
class QuarterStem(keras.layers.Layer):
    """The first stem for large images: two convolutions 3x3 of stride 2 with batch norm, ReLU between them.

    Source: https://github.com/quark0/darts, `cnn/model.py`, `NetworkImageNet`.
    """

    def __init__(self, channels, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = dict(norm or {})
        policy = {"dtype": self.dtype_policy, **self.norm}
        self.first = ConvBN(channels // 2, 3, stride=2, relu=False, name="first", **policy)
        self.second = ConvBN(channels, 3, stride=2, name="second", **policy)

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(self.first.compute_output_shape(input_shape))

    def call(self, x, training=False):
        return self.second.call(tf.nn.relu(self.first.call(x, training=training)), training=training)

    def compute_output_shape(self, input_shape, **_):
        return self.second.compute_output_shape(self.first.compute_output_shape(input_shape))

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "norm": self.norm}


@keras.saving.register_keras_serializable(package="tf_edd")
class EighthStem(keras.layers.Layer):
    """The second stem for large images: ReLU, convolution 3x3 of stride 2, batch norm."""

    def __init__(self, channels, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norm = dict(norm or {})
        self.convolution = ConvBN(channels, 3, stride=2, name="convolution", dtype=self.dtype_policy, **self.norm)

    def build(self, input_shape):
        self.convolution.build(input_shape)

    def call(self, x, training=False):
        return self.convolution.call(tf.nn.relu(x), training=training)

    def compute_output_shape(self, input_shape, **_):
        return self.convolution.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "norm": self.norm}


@keras.saving.register_keras_serializable(package="tf_edd")
class ConvReLU6(keras.layers.Layer):
    """Convolution without bias, batch norm, ReLU6: the first and the last convolution of a mobile network.

    Source: https://github.com/mit-han-lab/proxylessnas, `search/models/super_nets/super_proxyless.py`.
    """

    def __init__(self, channels, kernel_size=3, stride=1, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.norm = dict(norm or {})
        self.batch_norm = BatchNorm(epsilon=EPSILON, dtype=self.dtype_policy, name="norm", **self.norm)

    def build(self, input_shape):
        size = self.kernel_size
        shape = (size, size, input_shape[-1], self.channels)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=he_fout(size, self.channels))
        self.batch_norm.build(self.compute_output_shape(input_shape))

    def call(self, x, training=False):
        x = convolve(x, tf.cast(self.kernel.value, x.dtype), self.stride)
        return tf.nn.relu6(self.batch_norm.call(x, training=training))

    def compute_output_shape(self, input_shape, **_):
        return strided_shape(input_shape, self.stride, self.channels)

    def get_config(self):
        sizes = {"channels": self.channels, "kernel_size": self.kernel_size, "stride": self.stride}
        return {**super().get_config(), **sizes, "norm": self.norm}
