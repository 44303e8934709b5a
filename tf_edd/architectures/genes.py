"""Genotypes as a sequence of independent genes, to count them, draw them uniformly, mutate and cross them.

A node that keeps all its edges has one gene per edge, whose choices are the operations. A node that keeps k of its n
edges (two in the DARTS space) has a single gene, whose choices are all ways to take k edges with an operation on each.
So every code is a genotype, every genotype has one code, and drawing each gene uniformly draws a genotype uniformly.
Operations that a cell excludes are not among the choices.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.spaces.space import CellSpec, Space

Code = tuple[int, ...]
Edges = tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Gene:
    """One independent choice of a genotype.

    Attributes:
        cell_type: The cell type.
        node: The node whose incoming edges it chooses.
        choices: The alternatives; each is one or more edges (operation, source), in the order of the sources.
    """

    cell_type: str
    node: int
    choices: tuple[Edges, ...]


class Genes:
    """The genes of a space; a code is a tuple with the number of the choice of each gene.

    Args:
        space: The search space.

    Raises:
        UserError: an edge whose operations are all excluded.
    """

    def __init__(self, space: Space):
        self._space = space
        self.genes = tuple(
            Gene(cell.cell_type, node, choices)
            for cell in space.cells
            for node in cell.intermediate_nodes
            for choices in _choices(cell, node)
        )
        self._sizes = np.array([len(gene.choices) for gene in self.genes])

    @property
    def num_genotypes(self) -> int:
        """Number of genotypes in the space."""
        return math.prod(len(gene.choices) for gene in self.genes)

    def decode(self, code: Sequence[int]) -> Genotype:
        """The genotype of a code."""
        nodes = {(cell.cell_type, node): () for cell in self._space.cells for node in cell.intermediate_nodes}
        for gene, choice in zip(self.genes, code, strict=True):
            nodes[gene.cell_type, gene.node] += gene.choices[choice]
        cells = [
            (cell.cell_type, tuple(nodes[cell.cell_type, node] for node in cell.intermediate_nodes))
            for cell in self._space.cells
        ]
        return Genotype(self._space.name, tuple(cells))

    def encode(self, genotype: Genotype) -> Code:
        """The code of a genotype, whatever the order of the edges of its nodes.

        Raises:
            UserError: the genotype is not one of the space.
        """
        genotype.check(self._space)
        left = {
            (cell.cell_type, node): sorted(edges, key=lambda edge: edge[1])
            for cell in self._space.cells
            for node, edges in zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True)
        }
        code = []
        for gene in self.genes:
            edges, width = left[gene.cell_type, gene.node], len(gene.choices[0])
            code.append(gene.choices.index(tuple(edges[:width])))
            del edges[:width]
        return tuple(code)

    def sample(self, rng: np.random.Generator) -> Code:
        """A code drawn uniformly."""
        return tuple(rng.integers(self._sizes).tolist())

    def mutate(self, code: Code, probability: float, rng: np.random.Generator) -> Code:
        """Draws each gene anew, uniformly, with this probability; the draw may return the old choice."""
        changes = rng.random(len(code)) < probability
        return tuple(np.where(changes, rng.integers(self._sizes), code).tolist())

    def change_one(self, code: Code, rng: np.random.Generator) -> Code:
        """Gives one gene, drawn uniformly from those with a choice, another choice; all others are equally likely."""
        choosable = np.flatnonzero(self._sizes > 1)
        if not choosable.size:
            return tuple(code)
        gene = int(rng.choice(choosable))
        step = int(rng.integers(1, self._sizes[gene]))
        return (*code[:gene], (code[gene] + step) % int(self._sizes[gene]), *code[gene + 1 :])

    def cross(self, first: Code, second: Code, rng: np.random.Generator) -> Code:
        """Takes each gene from one of two parents, both equally likely."""
        return tuple(np.where(rng.random(len(first)) < 0.5, first, second).tolist())


def sample_genotype(space: Space, rng: np.random.Generator) -> Genotype:
    """A genotype drawn uniformly from the space."""
    genes = Genes(space)
    return genes.decode(genes.sample(rng))


def _choices(cell: CellSpec, node: int) -> list[tuple[Edges, ...]]:
    """The choices of each gene of a node."""
    edges = sorted(((cell.edges[i], cell.allowed[i]) for i in cell.incoming(node)), key=lambda pair: pair[0].source)
    options = [[(name, edge.source) for name in itertools.compress(edge.primitives, flags)] for edge, flags in edges]
    if not all(options):
        raise UserError(
            f"Every edge needs an operation that is not excluded. Received: node {node} of cell {cell.cell_type!r} "
            f"without {cell.excluded}"
        )
    kept = cell.edges_per_node or len(options)
    if kept == len(options):
        return [tuple((option,) for option in edge) for edge in options]
    chosen = itertools.combinations(options, kept)
    return [tuple(edges for group in chosen for edges in itertools.product(*group))]
