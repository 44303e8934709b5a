"""Decisions in the course of a search: edges that take one operation, or are removed, while the others go on learning.

    PerturbationSelection    DARTS+PT (arXiv 2108.04392)
    SequentialGreedy         SGAS (arXiv 1912.00195)

They narrow the mask of the allowed candidates (`tf_edd.architectures.mask`) after an epoch.
"""

from tf_edd.decisions.decisions import Decision, Decisions, View
from tf_edd.decisions.perturbation import PerturbationSelection
from tf_edd.decisions.sequential_greedy import SequentialGreedy

__all__ = ["Decision", "Decisions", "PerturbationSelection", "SequentialGreedy", "View"]
