"""How long a retraining will take, from steps that are measured."""

import itertools
import time

import tensorflow as tf

from tf_edd.runtime.strategy import has_workers, replica_batches
from tf_edd.training.plan import RetrainPlan

SECONDS = 3.0  # of measured steps, more or less
MOST_STEPS = 20
# Of a measured step on a CPU: 64 images of NAS-Bench-201's network of 3 x 5 cells, under a second on two cores.
MULTIPLY_ADDS = 5e9
EVALUATION = 1 / 3  # of a training step: it has the forward pass alone


def estimate(plan: RetrainPlan) -> dict[str, str]:
    """Seconds per step and minutes of a whole training, measured on random images; nothing is written.

    The network is built and traced, which is what takes longest. On a CPU a large step is measured with fewer images.

    Returns:
        Texts for people; none with several workers, which would have to measure together.
    """
    if has_workers(tf.distribute.get_strategy()):
        return {}
    images = _measured_images(plan)
    seconds, measured = _measure(plan, images)
    seconds *= plan.training.batch_size / images
    minutes = seconds * _steps(plan) / 60
    fewer = f" of {images} images" if images < plan.training.batch_size else ""
    return {
        "seconds_per_step": f"{seconds:.3g} (from {measured} measured steps{fewer}, on random images)",
        "minutes": f"about {minutes:,.0f}" if minutes >= 1 else "less than 1",
    }


def _steps(plan: RetrainPlan) -> float:
    """The steps of the whole training, evaluations counted as parts of steps."""
    training, held_out, test = plan.training, plan.training.held_out, plan.images.test
    each, at_the_end = (test, 0) if held_out is None else (held_out, 2 * test.num_batches(training.batch_size, False))
    evaluations = plan.epochs * each.num_batches(training.batch_size, False) + at_the_end
    return plan.epochs * training.steps + EVALUATION * evaluations


def _measured_images(plan: RetrainPlan) -> int:
    """Images of a measured step, a multiple of the replicas."""
    batch_size = plan.training.batch_size
    if tf.config.list_logical_devices("GPU"):
        return batch_size
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    most = int(MULTIPLY_ADDS / plan.sizes["multiply_adds"]) // replicas * replicas
    return min(batch_size, max(most, replicas))


def _measure(plan: RetrainPlan, images: int) -> tuple[float, int]:
    """Mean seconds of a step on so many random images, after a first one, and how many steps were measured."""
    pixels = tf.random.stateless_normal((images, *plan.images.image_shape), (plan.seed, 0))
    labels = tf.range(images) % plan.images.num_classes
    batch = tf.data.Dataset.from_tensors((pixels, labels)).repeat()
    batches = iter(replica_batches(batch, tf.distribute.get_strategy()))
    _, step = plan.build()
    step.begin(0, learning_rate=0.0, drop_path_rate=0.0 if plan.recipe.drop_path_rate else None)
    step(*next(batches))["loss/train"].numpy()  # traced, and warm
    began = time.perf_counter()
    for count in itertools.count(1):
        step(*next(batches))["loss/train"].numpy()  # waits for the device
        passed = time.perf_counter() - began
        if passed >= SECONDS or count == MOST_STEPS:
            return passed / count, count
