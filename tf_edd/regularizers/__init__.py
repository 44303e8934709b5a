"""Terms that join the loss of the weights, of the architecture logits, or of both.

    BetaDecay              a growing pull on the logits of each edge (beta-DARTS, arXiv 2203.01665)
    DirichletDivergence    learned Dirichlet distributions stay near the flat one (DrNAS, arXiv 2006.10355)
    SelfDistillation       earlier states of the supernet as teachers (SD-DARTS, arXiv 2302.05629)
    ZeroOneLoss            weights of the candidates are pushed to 0 and 1 (Fair-DARTS, arXiv 1911.12126)

`regularizers(**named)` gathers them, so that gin files can add one without retyping the list of others.
"""

from tf_edd.regularizers.beta_decay import BetaDecay
from tf_edd.regularizers.dirichlet_divergence import DirichletDivergence
from tf_edd.regularizers.gathered import regularizers
from tf_edd.regularizers.regularizer import PHASES, Regularizer, StepContext, Term, check_active, check_phases
from tf_edd.regularizers.self_distillation import DistillationTerm, SelfDistillation
from tf_edd.regularizers.zero_one import ZeroOneLoss

__all__ = [
    "PHASES",
    "BetaDecay",
    "DirichletDivergence",
    "DistillationTerm",
    "Regularizer",
    "SelfDistillation",
    "StepContext",
    "Term",
    "ZeroOneLoss",
    "check_active",
    "check_phases",
    "regularizers",
]
