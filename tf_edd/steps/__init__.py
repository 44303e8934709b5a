"""Steps: how a batch moves the weights and the architecture.

    FirstOrder     weights on the training batch, logits on the validation batch (DARTS, EDD-DARTS)
    SecondOrder    as FirstOrder, but the logits foresee the next step of the weights (DARTS-V2)
    OneLevel       weights and logits from one loss of the training batch (SNAS)
    SampledPaths   the weights alone, on sampled paths (SPOS, FairNAS, PA&DA)
    GibbsSampling  one cell, an edge of which is drawn anew in each step (a reading of GibbsNAS)

    RandomSmoothing, AdversarialSmoothing   perturb the candidates' weights in the weight pass of FirstOrder (SDARTS)

`step.py` has the interface that the search loop calls, `plumbing.py` what steps share.
"""

from tf_edd.steps.alternation import Alternation
from tf_edd.steps.first_order import FirstOrder
from tf_edd.steps.gibbs_sampling import GibbsSampling
from tf_edd.steps.one_level import OneLevel
from tf_edd.steps.perturbation import AdversarialSmoothing, Perturbation, RandomSmoothing
from tf_edd.steps.plumbing import Pass, PassInfo
from tf_edd.steps.sampled_paths import SampledPaths
from tf_edd.steps.second_order import SecondOrder
from tf_edd.steps.step import Architecture, Batch, EpochInfo, Step, StepInfo, StepPart, StepSetup, Validation

__all__ = [
    "AdversarialSmoothing",
    "Alternation",
    "Architecture",
    "Batch",
    "EpochInfo",
    "FirstOrder",
    "GibbsSampling",
    "OneLevel",
    "Pass",
    "PassInfo",
    "Perturbation",
    "RandomSmoothing",
    "SampledPaths",
    "SecondOrder",
    "Step",
    "StepInfo",
    "StepPart",
    "StepSetup",
    "Validation",
]
