"""What surrounds the candidates of every edge of the supernet.

    AuxiliarySkip      a skip connection beside the candidates, which decays (DARTS-, arXiv 2009.01027)
    EdgeDropPath       edges drop out at random, separately for each image (R-DARTS, arXiv 1909.09656)
    PartialChannels    the candidates read a part of the channels (PC-DARTS, arXiv 1907.05737)

`edges(**named)` gathers them, so that gin files can add one without retyping the list of others.
"""

from tf_edd.edges.auxiliary_skip import AuxiliarySkip
from tf_edd.edges.drop_path import EdgeDropPath
from tf_edd.edges.gathered import edges
from tf_edd.edges.partial_channels import PartialChannels
from tf_edd.networks.edge_part import EdgePart

__all__ = ["AuxiliarySkip", "EdgeDropPath", "EdgePart", "PartialChannels", "edges"]
