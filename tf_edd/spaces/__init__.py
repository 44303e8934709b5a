"""Search spaces: frozen descriptions, from which supernets and final networks are built."""

from tf_edd.spaces.darts import darts, darts_imagenet
from tf_edd.spaces.nas_bench_201 import nas_bench_201
from tf_edd.spaces.proxyless import proxyless
from tf_edd.spaces.robust_darts import s1, s2, s3, s4
from tf_edd.spaces.space import Block, CellSpec, Edge, Space, Wire, space_from_json, space_to_json

__all__ = [
    "Block",
    "CellSpec",
    "Edge",
    "Space",
    "Wire",
    "darts",
    "darts_imagenet",
    "nas_bench_201",
    "proxyless",
    "s1",
    "s2",
    "s3",
    "s4",
    "space_from_json",
    "space_to_json",
]
