"""What the inputs of a cell pass first, to get the cell's channels and one size."""

import keras

from tf_edd.operations import PREPARATIONS, ConvBN, FactorizedReduce


@keras.saving.register_keras_serializable(package="tf_edd")
class Preprocess(keras.layers.Layer):
    """ReLU, 1x1 convolution, batch norm for each input of a cell.

    Args:
        channels: channels of the cell's nodes.
        num_inputs: inputs of the cell.
        halves_first: whether the first input has a larger map than the others; it then passes a factorized reduction.
        norm: arguments of the batch norms.

    Call arguments:
        inputs: list of the cell's inputs.
        training: as in Keras.
    """

    def __init__(self, channels, num_inputs=2, halves_first=False, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.num_inputs = num_inputs
        self.halves_first = halves_first
        self.norm = dict(norm or {})
        self.layers = [self._layer(i) for i in range(num_inputs)]

    def _layer(self, i):
        policy = {"name": f"input_{i}", "dtype": self.dtype_policy, **self.norm}
        if i == 0 and self.halves_first:
            return FactorizedReduce(self.channels, **policy)
        return ConvBN(self.channels, 1, **policy)

    def build(self, input_shapes):
        """Builds the layers; takes the shapes of the inputs."""
        for layer, shape in zip(self.layers, input_shapes, strict=True):
            layer.build(tuple(shape))

    def call(self, inputs, training=False):
        """The inputs, all of one shape."""
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
        """Constructor arguments."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_inputs": self.num_inputs,
            "halves_first": self.halves_first,
            "norm": self.norm,
        }
