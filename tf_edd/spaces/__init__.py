"""Search spaces: frozen descriptions from which supernet and final network are built."""

from tf_edd.spaces.nas_bench_201 import nas_bench_201
from tf_edd.spaces.space import Block, CellSpec, Edge, Space

__all__ = ["Block", "CellSpec", "Edge", "Space", "nas_bench_201"]
