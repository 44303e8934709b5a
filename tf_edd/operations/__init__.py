"""Candidate operations of an edge: the table of all, and one module per kind of layer.

The table, `primitives.PRIMITIVES`, is read without TensorFlow; layers are imported from their modules.
"""

from tf_edd.operations.primitives import PRIMITIVES, Primitive, find

__all__ = ["PRIMITIVES", "Primitive", "find"]
