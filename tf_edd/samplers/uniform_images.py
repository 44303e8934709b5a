"""Images in a uniformly random order."""

import tensorflow as tf

from tf_edd.part import part


@part(module="tf_edd.samplers")
class UniformImages:
    """Every image once per epoch, in a random order."""

    def build(self, size: int) -> "RunningUniformImages":
        return RunningUniformImages()


class RunningUniformImages:
    """See `UniformImages`; it learns nothing."""

    importance_weights = False

    @property
    def variables(self) -> list[tf.Variable]:
        return []

    def order(self, seed: int, epoch: int, count: int | None = None) -> None:
        return None

    def ratios(self, rows: tf.Tensor) -> None:
        return None

    def record(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        pass

    def end_epoch(self, done: int, epochs: int) -> None:
        pass

    def effective_share(self) -> float:
        return 1.0
