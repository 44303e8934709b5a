"""What the inputs of a cell pass first, to get the cell's channels and a common size."""

import keras

from tf_edd.operations.conv import ConvBN
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.operations.simple import FactorizedReduce


@keras.saving.register_keras_serializable(package="tf_edd")
class Preprocess(keras.layers.Layer):
    """ReLU, 1x1 convolution, batch norm for each input of a cell.

    Args:
        channels: channels of the cell's nodes.
        num_inputs: number of inputs of the cell.
        reduction_prev: whether the first input has larger maps than the others; it then passes a factorized reduction.
        norm: arguments of the batch norms.

    Call arguments:
        inputs: list of the cell's inputs.
        training: as in Keras.
    """

    def __init__(self, channels, num_inputs=2, reduction_prev=False, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.num_inputs = num_inputs
        self.reduction_prev = reduction_prev
        self.norm = dict(norm or {})
        self.layers = [self._layer(i) for i in range(num_inputs)]

    def _layer(self, i):
        policy = {"name": f"input_{i}", "dtype": self.dtype_policy, **self.norm}
        if i == 0 and self.reduction_prev:
            return FactorizedReduce(self.channels, **policy)
        return ConvBN(self.channels, 1, **policy)

    def build(self, input_shapes):
        """Builds the layers; takes the shapes of the inputs."""
        for layer, shape in zip(self.layers, input_shapes, strict=True):
            layer.build(tuple(shape))

    def call(self, inputs, training=False):
        return [
            layer.call(PREPARATIONS[layer.preparation](x), training=training)
            for layer, x in zip(self.layers, inputs, strict=True)
        ]

    def compute_output_shape(self, input_shapes, **_):
        """The shape of each result."""
        return [
            layer.compute_output_shape(tuple(shape)) for layer, shape in zip(self.layers, input_shapes, strict=True)
        ]

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_inputs": self.num_inputs,
            "reduction_prev": self.reduction_prev,
            "norm": self.norm,
        }
