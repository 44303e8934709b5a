"""What all candidate operations have in common.

An operation of the mixture reads a *prepared* input (see `operations.preparations`) and gets its mixing weight as
`scale`. An operation that ends in batch norm passes its weight to the fused kernel as that kernel's own scale: the
weighted sum then costs one addition and no multiplication.
"""

import keras


@keras.saving.register_keras_serializable(package="tf_edd")
class Operation(keras.layers.Layer):
    """A candidate operation: `operation(prepared, scale=None, training=False) -> scale * o(x)`.

    Attributes:
        preparation: name of what the input has passed.

    Args:
        channels: output channels C.
        stride: spatial stride.
        affine: whether batch norms have a learned scale and offset (final network) or not (supernet).
        running_statistics: whether batch norms keep moving averages and use them outside training.

    Call arguments:
        x: the prepared input, [B, H, W, C_in].
        scale: mixing weight, a float32 scalar, or None for 1.
        training: whether batch norms use and update with batch statistics.
    """

    preparation = "identity"

    def __init__(self, channels, stride=1, affine=True, running_statistics=True, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride
        self.affine = affine
        self.running_statistics = running_statistics

    def compute_output_shape(self, input_shape, **_):
        """The shape of x, unless an operation overrides this."""
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "stride": self.stride,
            "affine": self.affine,
            "running_statistics": self.running_statistics,
        }


def kernel_initializer():
    """Uniform in +-1/sqrt(fan_in), PyTorch's default, on which the published recipes rely."""
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")
