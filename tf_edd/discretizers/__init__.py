"""From the probabilities of a search to a genotype.

Argmax    the operation with the largest probability on each edge (DARTS)
"""

from tf_edd.discretizers.argmax import Argmax
from tf_edd.discretizers.discretizer import Discretizer, checked_probs

__all__ = ["Argmax", "Discretizer", "checked_probs"]
