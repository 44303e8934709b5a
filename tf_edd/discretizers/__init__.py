"""From the probabilities of a search to a genotype.

Argmax         the operation with the largest probability on each edge (DARTS)
LimitedSkips   the same with at most so many skip connections (P-DARTS)
Threshold      that operation where it is certain, and no edge elsewhere (Fair-DARTS)
"""

from tf_edd.discretizers.argmax import Argmax
from tf_edd.discretizers.discretizer import Discretizer, checked_probs
from tf_edd.discretizers.limited_skips import LimitedSkips
from tf_edd.discretizers.threshold import Threshold

__all__ = ["Argmax", "Discretizer", "LimitedSkips", "Threshold", "checked_probs"]
