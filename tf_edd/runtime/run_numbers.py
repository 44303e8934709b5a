"""The numbers that a search and a retraining take alike."""

import tensorflow as tf

from tf_edd.errors import UserError, require_count
from tf_edd.runtime.strategy import check_compiled

LARGEST_SEED = 2**32 - 1  # that NumPy takes


def run_numbers(epochs, batch_size, seed) -> tuple[int, int, int]:
    """Epochs, batch size and seed as Python's integers, checked for the strategy in scope.

    Raises:
        UserError: Something else than a possible integer, a batch that the replicas cannot share, or XLA with several
            replicas.
    """
    require_count(batch_size=batch_size, epochs=epochs)
    _check_seed(seed)
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(f"batch_size must be a multiple of the {replicas} replicas. Received: batch_size={batch_size}")
    check_compiled(strategy)
    return int(epochs), int(batch_size), int(seed)


def _check_seed(seed) -> None:
    require_count(0, note=f" and at most {LARGEST_SEED}", seed=seed)
    if seed > LARGEST_SEED:
        raise UserError(f"seed must be an integer of at least 0 and at most {LARGEST_SEED}. Received: seed={seed!r}")
