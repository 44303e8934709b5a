"""Selectors: which cell of a trained supernet is the best.

    selector(space, fitness, seed=..., log_path=...) -> Genotype

A selector evaluates one candidate after the other, none of them twice, and none above the limits of size. Every value
is written to a log at once. A selection that is started again with the same arguments repeats its random draws, reads
the values that are already in the log, and ends as if it had never been interrupted.
"""

from tf_edd.selectors.evolution import EvolutionarySearch
from tf_edd.selectors.random_search import RandomSearch
from tf_edd.selectors.regularized_evolution import RegularizedEvolution
from tf_edd.selectors.selector import Fitness, Selector
from tf_edd.selectors.size_limits import FinalSize, SizeLimits

__all__ = [
    "EvolutionarySearch",
    "FinalSize",
    "Fitness",
    "RandomSearch",
    "RegularizedEvolution",
    "Selector",
    "SizeLimits",
]
