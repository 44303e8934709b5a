"""One step of the retraining: loss with its auxiliary head, gradient, update."""

import keras
import tensorflow as tf

from tf_edd.networks.final_network import set_drop_path
from tf_edd.optimizers import own_optimizer
from tf_edd.optimizers.gradients import apply_gradients, share_of_accuracy, share_of_mean
from tf_edd.runtime import seeds
from tf_edd.training.recipe import TrainingRecipe


class TrainStep:
    """One step of the weights: `step(images, labels)` -> scalars, under the strategy in which it is made.

    Args:
        model: Images -> logits, or -> [logits, logits of the auxiliary head].
        recipe: Gives the loss and the optimizer, of which the step makes a copy on the model's trainable variables.
        jit_compile: Whether XLA compiles the forward and backward pass of a replica.
        seed: Of the drop path and of mixup.
    """

    def __init__(self, model: keras.Model, recipe: TrainingRecipe, jit_compile: bool = False, seed: int = 0):
        self.optimizer = own_optimizer(recipe.optimizer)
        self._model, self._recipe, self._seed = model, recipe, seed
        self._number, self._drop_path_rate = 0, None
        self._strategy = tf.distribute.get_strategy()
        self.variables = model.variables
        self.optimizer.build(model.trainable_variables)
        self._pass = tf.function(self._gradients, jit_compile=True, autograph=False) if jit_compile else self._gradients
        self.function = tf.function(self._step, autograph=False)

    def begin(self, number: int, learning_rate: float, drop_path_rate: float | None = None) -> None:
        """Begins an epoch.

        Args:
            number: Of the next step of the training; its drop-path masks and its share of mixup are a function of seed
                and number.
            learning_rate: Of the epoch.
            drop_path_rate: Of the epoch; None for a network without drop path.
        """
        self.optimizer.learning_rate = learning_rate
        self._number, self._drop_path_rate = number, drop_path_rate

    def __call__(self, images, labels) -> dict[str, tf.Tensor]:
        """Takes a step on a batch (per replica under a strategy); returns its loss and accuracy, on the device."""
        rate = None if self._drop_path_rate is None else tf.constant(self._drop_path_rate, tf.float32)
        moment = self._moment(rate, self._number)
        self._number += 1
        return self.function(images, labels, moment)

    def trace(self, images, labels, drop_path: bool) -> None:
        """Traces a step on such a batch, of a network with or without drop path; the first call is spared it."""
        moment = self._moment(tf.constant(0.0) if drop_path else None, 0)
        self.function.get_concrete_function(images, labels, moment)

    def _moment(self, drop_path_rate: tf.Tensor | None, number: int):
        """Drop-path rate and number of a step, as the traced function takes them; None if nothing in it is random."""
        if drop_path_rate is None and not self._recipe.mixup:
            return None
        return drop_path_rate, tf.constant(number)

    def _step(self, images, labels, moment):
        share = None
        if moment is not None:
            rate, number = moment
            if rate is not None:
                set_drop_path(self._model, rate, seeds.step_seed(self._seed, number, "drop_path"))
            if self._recipe.mixup:
                share = mixup_share(self._recipe.mixup, seeds.step_seed(self._seed, number, "mixup"))
        scalars = self._strategy.run(self._replica, args=(images, labels, share))
        return {tag: self._strategy.reduce(tf.distribute.ReduceOp.SUM, scalars[tag], axis=None) for tag in scalars}

    def _replica(self, images, labels, share):
        loss, accuracy, gradients = self._pass(images, labels, share)
        clip = self._recipe.weight_gradient_clip
        apply_gradients(self.optimizer, gradients, self._model.trainable_variables, clip)
        return {"loss/train": loss, "accuracy/train": accuracy}

    def _gradients(self, images, labels, share):
        variables = [variable.value for variable in self._model.trainable_variables]
        if share is not None:
            images = share * images + (1 - share) * images[::-1]
        with tf.GradientTape() as tape:
            logits, *side = tf.nest.flatten(self._model(images, training=True))
            losses = self._losses(labels, logits, share)
            for auxiliary in side:
                losses += self._recipe.auxiliary_weight * self._losses(labels, auxiliary, share)
            loss = share_of_mean(losses)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, share_of_accuracy(labels, logits), gradients

    def _losses(self, labels, logits, share):
        """The loss of each example, [B]."""
        losses = smoothed_cross_entropy(labels, logits, self._recipe.label_smoothing)
        if share is None:
            return losses
        return share * losses + (1 - share) * smoothed_cross_entropy(labels[::-1], logits, self._recipe.label_smoothing)


def mixup_share(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """The larger of g and 1 - g with g ~ Beta(alpha, alpha), a scalar float32: the share of an image's own label.

    Args:
        alpha: Of the distribution.
        seed: int32 [2].
    """
    gamma = tf.random.stateless_gamma([2], seed, alpha)
    share = gamma[0] / tf.reduce_sum(gamma)
    return tf.maximum(share, 1 - share)


def smoothed_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-sum_c q_c log p_c with q = (1 - e) one_hot(label) + e / classes, for each example.

    Args:
        labels: Integers [B].
        logits: [B, classes].
        smoothing: e.

    Returns:
        [B].
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if not smoothing:
        return losses
    return (1 - smoothing) * losses - smoothing * tf.reduce_mean(tf.nn.log_softmax(logits), -1)
