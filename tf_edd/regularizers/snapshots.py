"""Copies of variables as they were at earlier moments, kept in the memory of the host."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf


class Snapshots:
    """The values that some variables had at earlier moments, newest first.

    An assignment between TensorFlow variables on one device copies nothing until one of the two changes, so moving the
    snapshots on is cheap, and a snapshot costs the memory of its variables once.

    Args:
        sources: The TensorFlow variables.
        count: How many moments are kept.

    Attributes:
        slots: `count` lists of variables, in the order of `sources`; zeros before the first `fill`.
        fill: Sets all moments to the present one.
        shift: Moves each moment to the next older place; the oldest is dropped, the newest stays in its place too.
        take: Sets the newest moment to the present one.
    """

    def __init__(self, sources: Sequence[tf.Variable], count: int):
        self._sources = list(sources)
        self.slots = host_variables(
            lambda: [[tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False) for v in sources] for _ in range(count)]
        )
        self.fill, self.shift, self.take = (
            tf.function(function, autograph=False) for function in (self._fill, self._shift, self._take)
        )

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables of all slots, for the checkpoint."""
        return [variable for slot in self.slots for variable in slot]

    def tensors(self, slot: int) -> list[tf.Tensor]:
        """The values of one moment, read now."""
        return [variable.value() for variable in self.slots[slot]]

    def _fill(self):
        values = [source.read_value() for source in self._sources]
        for slot in self.slots:
            _assign(slot, values)

    def _shift(self):
        for older in range(len(self.slots) - 1, 0, -1):
            _assign(self.slots[older], self.tensors(older - 1))

    def _take(self):
        _assign(self.slots[0], [source.read_value() for source in self._sources])


def host_variables(make: Callable):
    """Calls `make` so that the variables that it makes are plain ones on the host, whatever strategy is in scope.

    A strategy would put a copy of each on every device; but it is in scope in its own thread only.

    Returns:
        What `make` returns.
    """

    def on_host():
        with tf.device("/cpu:0"):
            return make()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(on_host).result()


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value, read_value=False)
