"""One step of the retraining: loss with its side branch, gradient, update."""

import keras
import tensorflow as tf

from tf_edd.networks.final_network import set_drop_path
from tf_edd.optimizers.gradients import apply_gradients, share_of_accuracy, share_of_mean
from tf_edd.runtime import seeds


class TrainStep:
    """One step of the weights: `step(images, labels)` -> scalars, under the strategy in which it is made.

        loss = cross entropy(logits) + auxiliary_weight * cross entropy(auxiliary logits)

    Args:
        model: images -> logits, or -> [logits, auxiliary logits].
        optimizer: built here on the model's trainable variables.
        label_smoothing: e in the target (1 - e) one_hot + e / classes, of both cross entropies.
        clip: largest global norm of the gradient, or None.
        xla: compile the forward and backward pass.
        auxiliary_weight: see above.
        seed: of the drop path.
    """

    def __init__(self, model, optimizer, label_smoothing=0.0, clip=None, xla=False, auxiliary_weight=0.0, seed=0):
        if keras.config.dtype_policy().name == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self.optimizer = optimizer
        self._model, self._smoothing, self._clip = model, label_smoothing, clip
        self._auxiliary_weight, self._seed = auxiliary_weight, seed
        self._number, self._drop_path_rate = 0, None
        self._strategy = tf.distribute.get_strategy()
        self.variables = model.variables
        self.optimizer.build(model.trainable_variables)
        self._pass = tf.function(self._gradients, jit_compile=True, autograph=False) if xla else self._gradients
        self.function = tf.function(self._step, autograph=False)

    def begin(self, number: int, learning_rate: float, drop_path_rate: float | None = None) -> None:
        """Begins an epoch.

        Args:
            number: of the next step of the training; its drop-path masks are a function of seed and number.
            learning_rate: of the epoch.
            drop_path_rate: of the epoch; None for a network without drop path.
        """
        self.optimizer.learning_rate = learning_rate
        self._number, self._drop_path_rate = number, drop_path_rate

    def __call__(self, images, labels) -> dict[str, tf.Tensor]:
        """Takes a step on a batch (per replica under a strategy); returns its loss and accuracy, on the device."""
        drop_path = None
        if self._drop_path_rate is not None:
            drop_path = tf.constant(self._drop_path_rate, tf.float32), tf.constant(self._number)
        self._number += 1
        return self.function(images, labels, drop_path)

    def _step(self, images, labels, drop_path):
        if drop_path is not None:
            rate, number = drop_path
            set_drop_path(self._model, rate, seeds.step_seed(self._seed, number, "drop_path"))
        scalars = self._strategy.run(self._replica, args=(images, labels))
        return {tag: self._strategy.reduce(tf.distribute.ReduceOp.SUM, scalars[tag], axis=None) for tag in scalars}

    def _replica(self, images, labels):
        loss, accuracy, gradients = self._pass(images, labels)
        apply_gradients(self.optimizer, gradients, self._model.trainable_variables, self._clip)
        return {"loss/train": loss, "accuracy/train": accuracy}

    def _gradients(self, images, labels):
        variables = [variable.value for variable in self._model.trainable_variables]
        with tf.GradientTape() as tape:
            logits, *side = tf.nest.flatten(self._model(images, training=True))
            losses = smoothed_cross_entropy(labels, logits, self._smoothing)
            for auxiliary in side:
                losses += self._auxiliary_weight * smoothed_cross_entropy(labels, auxiliary, self._smoothing)
            loss = share_of_mean(losses)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, share_of_accuracy(labels, logits), gradients


def smoothed_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-sum_c q_c log p_c with q = (1 - e) one_hot(label) + e / classes, for each example.

    Args:
        labels: int [B].
        logits: [B, classes].
        smoothing: e.

    Returns:
        [B].
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not smoothing:
        return losses
    return (1 - smoothing) * losses - smoothing * tf.reduce_mean(tf.nn.log_softmax(logits), -1)
