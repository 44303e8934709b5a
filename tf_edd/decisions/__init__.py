"""Decisions in the course of a search: edges that take one operation, or are removed, while the others go on learning.

They narrow the mask of the allowed candidates (`tf_edd.architectures.mask`) after an epoch.
"""

from tf_edd.decisions.decisions import Decision, Decisions, View

__all__ = ["Decision", "Decisions", "View"]
