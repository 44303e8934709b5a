"""One cell of NAS-Bench-201: its accuracies after full training, and its size."""

import os

from tf_edd.analysis.counting import count
from tf_edd.architectures import genotype as genotypes
from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.table import NasBench201Table, Table
from tf_edd.spaces import nas_bench_201

IMAGE_SHAPE, NUM_CLASSES = (32, 32, 3), 10


def query(table: str | os.PathLike | NasBench201Table | Table, genotype: Genotype | str | os.PathLike | int) -> dict:
    """What a NAS-Bench-201 table knows of a cell, and the size of its network on CIFAR-10.

    The network is the benchmark's: 16 channels, 5 cells per stage, 32x32 images, 10 classes. Multiply-adds have the
    bias of the linear layer, as in the benchmark's records.

    Args:
        table: An open table, or the path of one (`tf_edd.architectures.table.open_table`).
        genotype: A genotype, a genotype file or the folder that holds it, a cell string, or an index.

    Returns:
        "cell", "index", the accuracies (percent), "parameters", "multiply_adds".

    Raises:
        UserError: There is no such table or cell.
    """
    space = nas_bench_201()
    opened = NasBench201Table(str(table)).load() if isinstance(table, (str, os.PathLike)) else table.load()
    text = str(genotype).strip()
    known = isinstance(genotype, Genotype) or text.isdecimal()
    row = opened.query(genotype if known else genotypes.load(text, space))
    index = row.pop("index")
    cell = opened.arch(index)
    size = count(space, genotypes.from_text(cell, space), IMAGE_SHAPE, NUM_CLASSES)
    return {
        "cell": cell,
        "index": index,
        **row,
        "parameters": size.parameters,
        "multiply_adds": size.multiply_adds,
    }
