"""From architecture logits A [E, O] to the probabilities beta [E, O] that weight the candidates.

E is the number of edges of a cell, O the number of candidate operations of an edge. Everything is computed in float32,
whatever the precision of the network: at t = 1e-4 a half-precision difference of logits is lost.

    Dirichlet              DrNAS (arXiv 2006.10355)
    EdgeWeights            weights of the edges beside those of the candidates, PC-DARTS (arXiv 1907.05737)
    HardGumbel             GDAS (arXiv 1910.04465)
    MirrorSoftmax          GAEA (arXiv 2004.07802)
    Sigmoid                Fair-DARTS (arXiv 1911.12126)
    SoftGumbel             SNAS (arXiv 1812.09926)
    Softmax                DARTS (arXiv 1806.09055)
    SparseNoisySoftmax     EDD-DARTS, Algorithm 1
"""

from tf_edd.relaxations.bound import BoundRelaxation
from tf_edd.relaxations.dirichlet import Dirichlet
from tf_edd.relaxations.edge_weights import EdgeWeights
from tf_edd.relaxations.entropy import entropy, mean_entropy
from tf_edd.relaxations.hard_gumbel import HardGumbel
from tf_edd.relaxations.mirror import MirrorSoftmax
from tf_edd.relaxations.relaxation import Relaxation
from tf_edd.relaxations.sigmoid import Sigmoid
from tf_edd.relaxations.soft_gumbel import SoftGumbel
from tf_edd.relaxations.softmax import Softmax
from tf_edd.relaxations.sparse_noisy import SparseNoisySoftmax, sn_softmax

__all__ = [
    "BoundRelaxation",
    "Dirichlet",
    "EdgeWeights",
    "HardGumbel",
    "MirrorSoftmax",
    "Relaxation",
    "Sigmoid",
    "SoftGumbel",
    "Softmax",
    "SparseNoisySoftmax",
    "entropy",
    "mean_entropy",
    "sn_softmax",
]
