"""Candidates drawn at random in the weight steps, so that those which an edge has left do not stay behind."""

import math
from collections.abc import Mapping

import tensorflow as tf

from tf_edd.relaxations.entropy import entropy, row_sums


def explored(probs: Mapping[str, tf.Tensor], share: float, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """The probabilities of a weight step, in which some edges take one candidate at random.

        edge e takes a uniformly drawn candidate with probability share (1 - H(p_e) / ln O)

    A decided edge does so in this share of the steps. One that still mixes its O candidates evenly never does, since
    the mixture trains all of them: so nothing is explored in a warm-up, nor at a temperature of 1.

    Args:
        probs: Cell type -> [E, O], rows that sum to 1, or to the weights of their edges, which stay.
        share: In [0, 1).
        seed: int32 [2]; equal on all replicas, which take the same candidates.
    """
    return {
        cell_type: _explored(value, share, tf.random.fold_in(seed, index))
        for index, (cell_type, value) in enumerate(probs.items())
    }


def _explored(probs: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    edges, candidates = probs.shape
    if candidates == 1:
        return probs
    decided = tf.clip_by_value(1 - entropy(probs) / math.log(candidates), 0.0, 1.0)
    explores = tf.random.stateless_uniform([edges], tf.random.fold_in(seed, 0)) < share * decided
    drawn = tf.random.stateless_uniform([edges], tf.random.fold_in(seed, 1), 0, candidates, tf.int32)
    taken = tf.one_hot(drawn, candidates, dtype=probs.dtype) * row_sums(probs)
    return tf.where(explores[:, None], taken, probs)
