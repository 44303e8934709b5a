"""Edge weights: a distribution over the incoming edges of each node."""

import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.part import part
from tf_edd.relaxations.relaxation import Relaxation
from tf_edd.relaxations.softmax import Softmax
from tf_edd.spaces.space import CellSpec


@part(module="tf_edd.relaxations")
class EdgeWeights:
    """Each node weights its incoming edges, by logits of their own (PC-DARTS, Eq. 3).

        b_e = softmax(B)_e  over the edges e that enter the node of e

    The logits B, one for each edge of each cell type, learn with those of the candidates, from the same initial
    distribution and by the same optimizer. The weights fold into those of the candidates, beta_eo b_e: rows then sum to
    b_e, and the strongest edges of a node are those of the largest folded weights, as in the released code.

    Attributes:
        relaxation: Turns the logits of a node's edges, one row, into their weights; its rows must be distributions.
        tempered: Whether it has the temperature of the candidates; otherwise t = 1, as in PC-DARTS.

    Raises:
        UserError: A relaxation whose rows are no distributions.

    Source: Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020,
    arXiv 1907.05737, section 3.3; released code, `model_search.py`.
    """

    relaxation: Relaxation = Softmax()
    tempered: bool = False

    def __post_init__(self):
        if not self.relaxation.simplex:
            raise UserError(
                f"EdgeWeights needs a relaxation whose rows are distributions. Received: relaxation={self.relaxation!r}"
            )

    def __call__(self, logits, cell: CellSpec, temperature, seed) -> tf.Tensor:
        """The weights of a training pass.

        Args:
            logits: [E], any float type.
            cell: tells which edges enter a node.
            temperature: of the candidates, a scalar.
            seed: int32 [2].

        Returns:
            [E] float32; those of the edges of a node sum to 1.
        """
        temperature = self._temperature(temperature)
        return _by_node(
            logits, cell, lambda node, row: self.relaxation(row, temperature, tf.random.fold_in(seed, node))
        )

    def mean(self, logits, cell: CellSpec, temperature) -> tf.Tensor:
        """The weights [E] float32 without noise."""
        temperature = self._temperature(temperature)
        return _by_node(logits, cell, lambda node, row: self.relaxation.mean(row, temperature))

    def _temperature(self, temperature):
        return temperature if self.tempered else tf.ones([])


def _by_node(logits, cell: CellSpec, relax) -> tf.Tensor:
    """What `relax` makes of each node's logits, in the order of the edges."""
    of_edges, weights = tf.unstack(logits), {}  # not `tf.gather`, whose gradient is sparse
    for node in cell.intermediate_nodes:
        if edges := cell.incoming(node):
            row = relax(node, tf.stack([of_edges[edge] for edge in edges])[tf.newaxis])
            weights |= dict(zip(edges, tf.unstack(row[0]), strict=True))
    return tf.stack([weights[edge] for edge in range(len(cell.edges))])
