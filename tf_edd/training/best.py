"""The best network of a retraining so far, kept beside the one that is trained."""

import keras
import tensorflow as tf

from tf_edd.regularizers.snapshots import Snapshots
from tf_edd.runtime.checkpoint import variables_of


class BestNetwork:
    """The weights of a network as they were after its best epoch, in the memory of the host.

    They travel in the checkpoints: a file beside those could be of an epoch that a resume has never reached.

    Args:
        network: The network whose weights are kept, batch statistics included.
    """

    def __init__(self, network: keras.Model):
        self._sources = variables_of(network)
        self._kept = Snapshots(self._sources, count=1)

    @property
    def variables(self) -> list[tf.Variable]:
        """The weights, for the checkpoint; zeros before the first `take`."""
        return self._kept.variables

    def take(self) -> None:
        """Keeps the present weights."""
        self._kept.take()

    def put_back(self) -> None:
        """Gives the network the weights that are kept."""
        for source, value in zip(self._sources, self._kept.tensors(0), strict=True):
            source.assign(value)
