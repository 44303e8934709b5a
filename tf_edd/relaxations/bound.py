"""The relaxation of a search: from the tables of all cell types to the weights of their candidates."""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from tf_edd.architectures.logits import candidate_tables, edge_table
from tf_edd.relaxations.edge_weights import EdgeWeights
from tf_edd.relaxations.relaxation import Relaxation
from tf_edd.spaces.space import Space

EDGES = 0xEB  # the stream of random numbers of edge weights; those of the candidates count the cell types


@dataclasses.dataclass(frozen=True)
class BoundRelaxation:
    """A relaxation, and with it the edge weights of a method, for all cell types together.

        w_eo = beta_eo b_e,   without edge weights beta_eo

    Attributes:
        relaxation: of the candidates.
        edge_weights: of the edges; None for none.
        space: tells which edges enter a node; without edge weights it is not needed.
    """

    relaxation: Relaxation
    edge_weights: EdgeWeights | None = None
    space: Space | None = None

    def __call__(self, tables: Mapping[str, tf.Tensor], temperature, seed) -> dict[str, tf.Tensor]:
        """Cell type -> the weights [E, O] float32 of a training pass, with noise of its own for each type.

        Args:
            tables: the logits, by the names of `ArchLogits`.
            temperature: a scalar.
            seed: int32 [2].
        """
        weights = {
            cell_type: self.relaxation(logits, temperature, tf.random.fold_in(seed, index))
            for index, (cell_type, logits) in enumerate(candidate_tables(tables).items())
        }
        if self.edge_weights is None:
            return weights
        seed = tf.random.fold_in(seed, EDGES)
        edges = {
            cell_type: self.edge_weights(*self._edges(tables, cell_type), temperature, tf.random.fold_in(seed, index))
            for index, cell_type in enumerate(weights)
        }
        return _folded(weights, edges)

    def mean(self, tables: Mapping[str, tf.Tensor], temperature) -> dict[str, tf.Tensor]:
        """Cell type -> the weights [E, O] float32 without noise."""
        weights = {
            cell_type: self.relaxation.mean(logits, temperature)
            for cell_type, logits in candidate_tables(tables).items()
        }
        if self.edge_weights is None:
            return weights
        edges = {
            cell_type: self.edge_weights.mean(*self._edges(tables, cell_type), temperature) for cell_type in weights
        }
        return _folded(weights, edges)

    def _edges(self, tables, cell_type: str):
        return tables[edge_table(cell_type)], self.space.cell(cell_type)


def _folded(weights, edges) -> dict[str, tf.Tensor]:
    return {cell_type: table * edges[cell_type][:, tf.newaxis] for cell_type, table in weights.items()}
