"""Random numbers that a resumed run repeats: seeds made of (seed, step, stream), never of hidden state."""

import zlib

import keras
import tensorflow as tf


def set_seed(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow with a number from 0 to 2**32 - 1."""
    keras.utils.set_random_seed(seed)


def step_seed(seed, step, stream: str, replica=None) -> tf.Tensor:
    """The seed of one stream of random numbers at one step, for `tf.random.stateless_*`.

    Pure TensorFlow: `step` and `replica` may be tensors inside a `tf.function`. The same arguments give the same seed
    in every process, on every device and after every resume; another step, stream or replica gives another one.

    Args:
        seed: the seed of the run, an integer.
        step: global step, an integer or an integer tensor.
        stream: name of the stream, e.g. "relaxation" or "augment".
        replica: replica id for noise that differs between replicas; None for noise that all replicas share.

    Returns:
        int32 tensor of shape [2].
    """
    base = tf.stack([_int32(seed), tf.cast(step, tf.int32)])
    result = tf.random.fold_in(base, stream_id(stream))
    return result if replica is None else tf.random.fold_in(result, tf.cast(replica, tf.int32))


def replica_seed(seed: tf.Tensor) -> tf.Tensor:
    """A seed [2] that differs between the replicas of the computation under way; with one replica it is `seed`."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, tf.cast(context.replica_id_in_sync_group, seed.dtype))


def stream_id(stream: str) -> int:
    """A number for the name of a stream, the same in every process (unlike `hash`), below 2**31."""
    return zlib.crc32(stream.encode()) & 0x7FFFFFFF


def _int32(seed) -> tf.Tensor:
    if isinstance(seed, int):  # Python seeds go up to 2**32 - 1: keep their lower 32 bits
        seed = (seed + 2**31) % 2**32 - 2**31
    return tf.cast(seed, tf.int32)
